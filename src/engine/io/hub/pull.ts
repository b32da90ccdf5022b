/** @file From the name of a model on the Hub to files on this disk. `resolveModel` is for whatever takes a model; `pullModel` is for `sleuth pull`: it looks at every file. */
import {
  pinRepository,
  pullRepository,
  type PinnedRepository,
  type PullOptions,
  type PullResult,
} from "../../../hub/fetch.js";
import { isHubName, parseHubName } from "../../../hub/name.js";
import type { ModelName } from "./selection.js";
import { wantedOfModel } from "./wanted.js";

/** A model that is on this disk. */
interface LocalModel {
  /** As it was given, or `hf:ORG/NAME@COMMIT` for a model of the Hub. */
  name: string;
  location: string;
}

/**
 * The folder (or GGUF file) of a model: for `hf:ORG/NAME[/FILE.gguf][@REVISION]` its place in the Hugging Face cache, after
 * downloading what is missing; every other name is returned as it is.
 * @throws UserError when it cannot be had; the signal's reason when it aborts
 */
export async function resolveModel(name: string, options: PullOptions = {}): Promise<string> {
  return (await pinModel(name, options)).location;
}

/** The same, with a name that will mean the same bytes when a branch has moved on. */
export async function pinModel(given: string, options: PullOptions = {}): Promise<LocalModel> {
  return isHubName(given) ? pin(parseHubName(given), options) : { name: given, location: given };
}

/**
 * `resolveModel` for encoders and cross-encoders: their ONNX file and what says how texts are read.
 * @param variant which of several ONNX files: "fp16", "quantized", …; "" is onnx/model.onnx or, where there is none, model.safetensors
 * @throws as `resolveModel` does
 */
export async function resolveEncoder(given: string, variant = "", options: PullOptions = {}): Promise<string> {
  if (!isHubName(given)) return given;
  return (await pin({ ...parseHubName(given), onnx: variant }, options)).location;
}

/** `pinModel` for the tokenizer alone: no weights are fetched. */
export async function pinTokenizer(given: string, options: PullOptions = {}): Promise<LocalModel> {
  if (!isHubName(given)) return { name: given, location: given };
  const name = parseHubName(given);
  // A GGUF file holds its tokenizer and is fetched whole.
  return pin(name.file === undefined ? { ...name, tokenizerOnly: true } : name, options);
}

/**
 * Fetches every file of a model that is not in the cache, and checks the sizes of those that are.
 * @param given `ORG/NAME[/FILE.gguf][@REVISION]`, with or without `hf:`
 * @throws UserError when it cannot be had; the signal's reason when it aborts
 */
export async function pullModel(given: string, options: PullOptions & { verify?: boolean } = {}): Promise<PullResult> {
  const name = parseHubName(given);
  return pullRepository(name, wantedOfModel(name), options);
}

function pin(name: ModelName, options: PullOptions): Promise<PinnedRepository> {
  return pinRepository(name, wantedOfModel(name), options);
}
