/** @file Where a model is: a path, or the name of a checkpoint shipped with Sleuth. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isAdapterFolder, readAdapterConfig } from "../engine/io/adapter-folder.js";
import type { LocalOptions } from "../policy/local/local.js";

/** Beside src/ in the repository and beside dist/ in the package. */
const shippedFolder = fileURLToPath(new URL("../../models", import.meta.url));

/** Names of the models in the package. */
const shippedModels = new Set(["atlas-base"]);

/** The folder of a model name or path. A folder of the same name in the working directory is meant by `./NAME`. */
export function modelFolder(nameOrPath: string): string {
  return shippedModels.has(nameOrPath) ? path.join(shippedFolder, nameOrPath) : nameOrPath;
}

/**
 * Where a model is on this machine; of an adapter folder, its base too.
 * @throws UserError when the adapter's configuration cannot be used
 */
export async function locateModel(nameOrPath: string): Promise<Pick<LocalOptions, "model" | "base" | "baseName">> {
  const model = modelFolder(nameOrPath);
  if (!isAdapterFolder(model)) return { model, baseName: nameOfBase(nameOrPath, model) };
  const { base } = await readAdapterConfig(model);
  const location = modelFolder(base);
  return { model, base: location, baseName: nameOfBase(base, location) };
}

/** What adapters call their base: names of the Hub mean the same everywhere, paths only when they are whole. */
function nameOfBase(nameOrPath: string, location: string): string {
  return nameOrPath.startsWith("hf:") ? nameOrPath : path.resolve(location);
}
