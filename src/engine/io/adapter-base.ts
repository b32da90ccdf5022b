/** @file The model that an adapter is put on: its name in `adapter_config.json`, and where that is on this machine. */
import { existsSync } from "node:fs";
import path from "node:path";
import { UserError } from "../../errors.js";
import type { PullOptions } from "../../hub/fetch.js";
import { HubError } from "../../hub/transport.js";
import { isAdapterFolder, readAdapterConfig } from "./adapter-folder.js";
import { QuantizedModel } from "./config-json.js";
import { pinModel } from "./hub/pull.js";
import { loadModelConfig } from "./open-model.js";
import { isGguf } from "./tokenizer-files.js";
import { shellWord } from "../../printable.js";

/** A model by the name that an adapter gives it (`hf:ORG/NAME@COMMIT` or a whole path), and its folder or GGUF file here. */
interface BaseModel {
  name: string;
  location: string;
}

/**
 * Finds the base of an adapter, and fetches it where it is the Hub's.
 * @param given in place of the model that the adapter names
 * @throws UserError when the adapter names none, it is not there, is an adapter itself, or is a quantized copy
 */
export async function locateBase(adapter: string, given?: string, options: PullOptions = {}): Promise<BaseModel> {
  const named = given ?? (await readAdapterConfig(adapter)).base;
  if (named === undefined) {
    throw new UserError(
      `${adapter} does not say which model it adapts: "base_model_name_or_path" is empty in its adapter_config.json. ` +
        `Write the model there, or merge the two and use what comes of it: ${mergeCommand(adapter)}`,
    );
  }
  try {
    const { name, location } = await pinModel(named, options);
    if (!existsSync(location)) throw notHere(adapter, named);
    if (isAdapterFolder(location)) throw adapterItself(adapter, named);
    // A quantized copy is named by the adapters that were trained over it; its own message would not know of the adapter.
    if (!isGguf(location)) await loadModelConfig(location);
    return { name: nameOfModel(name, location), location };
  } catch (error) {
    throw baseProblem(adapter, named, error);
  }
}

/** What adapters call their base: names of the Hub mean the same everywhere, paths only when they are whole. */
export function nameOfModel(nameOrPath: string, location: string): string {
  return nameOrPath.startsWith("hf:") ? nameOrPath : path.resolve(location);
}

function notHere(adapter: string, base: string): UserError {
  return new UserError(
    `${adapter} is an adapter of ${base}, which is not on this machine. Put it back there (a link will do), or merge the adapter ` +
      `into its base from elsewhere and use what comes of it: ${mergeCommand(adapter)}`,
  );
}

function adapterItself(adapter: string, base: string): UserError {
  return new UserError(
    `The base of ${adapter} is ${base}, which is an adapter itself. Merge that one into its own base first: sleuth export ${shellWord(base)} --out FOLDER`,
  );
}

/** What went wrong with a base, in words that know of the adapter. */
export function baseProblem(adapter: string, base: string, error: unknown): unknown {
  if (error instanceof HubError) {
    const advice = `It is the base of ${adapter}. To put the adapter on another copy of it: ${mergeCommand(adapter)}`;
    return new UserError(`${error.message} ${advice}`, { cause: error });
  }
  if (!(error instanceof QuantizedModel)) return error;
  return new UserError(
    `${adapter} was trained over ${base}, whose weights are quantized, and Sleuth does not read those. The adapter fits the model that was ` +
      `quantized, too: ${mergeCommand(adapter)}`,
    { cause: error },
  );
}

function mergeCommand(adapter: string): string {
  return `sleuth export ${shellWord(adapter)} --base MODEL --out FOLDER`;
}
