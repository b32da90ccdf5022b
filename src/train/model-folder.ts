/** @file Where a model is: a path, or the name of a checkpoint shipped with Sleuth. */
import path from "node:path";
import { fileURLToPath } from "node:url";

/** Beside src/ in the repository and beside dist/ in the package. */
const shippedFolder = fileURLToPath(new URL("../../models", import.meta.url));

/** Names of the models in the package. */
const shippedModels = new Set(["atlas-base"]);

/** The folder of a model name or path. A folder of the same name in the working directory is meant by `./NAME`. */
export function modelFolder(nameOrPath: string): string {
  return shippedModels.has(nameOrPath) ? path.join(shippedFolder, nameOrPath) : nameOrPath;
}
