/** @file Where a model is: a path, or the name of a checkpoint shipped with Sleuth. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { isAdapterFolder, readAdapterConfig } from "../engine/io/adapter-folder.js";
import { pinModel, type PullOptions } from "../engine/io/hub/pull.js";
import type { LocalOptions } from "../policy/local/local.js";
import type { Config } from "./config.js";

/** Beside src/ in the repository and beside dist/ in the package. */
const shippedFolder = fileURLToPath(new URL("../../models", import.meta.url));

/** Names of the models in the package. */
const shippedModels = new Set(["atlas-base"]);

/** The folder of a model name or path. A folder of the same name in the working directory is meant by `./NAME`. */
export function modelFolder(nameOrPath: string): string {
  return shippedModels.has(nameOrPath) ? path.join(shippedFolder, nameOrPath) : nameOrPath;
}

/**
 * Where a model is on this machine, after fetching what is the Hub's; of an adapter folder, its base too.
 * @throws UserError when the adapter's configuration cannot be used, or a model of the Hub cannot be had
 */
export async function locateModel(
  nameOrPath: string,
  options: PullOptions = {},
): Promise<Pick<LocalOptions, "model" | "base" | "baseName">> {
  const { name, location } = await pinModel(nameOrPath, options);
  const model = modelFolder(location);
  if (!isAdapterFolder(model)) return { model, baseName: nameOfBase(name, model) };
  const base = await pinModel((await readAdapterConfig(model)).base, options);
  const baseLocation = modelFolder(base.location);
  return { model, base: baseLocation, baseName: nameOfBase(base.name, baseLocation) };
}

/**
 * A model of the Hub is fetched and named by its commit, because a run that goes on must not meet other weights when a branch has
 * moved. Other models are left alone.
 */
export async function pinConfig(config: Config, options: PullOptions = {}): Promise<Config> {
  const { name } = await pinModel(config.model.folder, options);
  return { ...config, model: { ...config.model, folder: name } };
}

/** What adapters call their base: names of the Hub mean the same everywhere, paths only when they are whole. */
function nameOfBase(nameOrPath: string, location: string): string {
  return nameOrPath.startsWith("hf:") ? nameOrPath : path.resolve(location);
}
