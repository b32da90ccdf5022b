/** @file Where a model is (a path, or the name of a checkpoint shipped with Sleuth), and what a configuration means for it. */
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { locateBase, nameOfModel } from "../engine/io/adapter-base.js";
import { isAdapterFolder, readAdapterConfig } from "../engine/io/adapter-folder.js";
import { pinModel, pinTokenizer } from "../engine/io/hub/pull.js";
import type { PullOptions } from "../hub/fetch.js";
import { readModelConfig } from "../engine/io/open-model.js";
import { loadTokenizer } from "../engine/io/tokenizer.js";
import { isGguf } from "../engine/io/tokenizer-files.js";
import type { Policy } from "../contracts/policy.js";
import { UserError } from "../errors.js";
import { fingerprintOf } from "../files/fingerprint.js";
import { readOptionalJson } from "../files/json-file.js";
import type { LocalOptions } from "../policy/local/local.js";
import { contextOf } from "../policy/local/open-model.js";
import { countingTokenizer } from "../policy/served/counting-tokenizer.js";
import { onlyModel, serverKey } from "../policy/served/served.js";
import { protocolFor } from "../prompts/protocol.js";
import type { Tokenizer } from "../types.js";
import type { ModelFacts } from "./budgets.js";
import { requireWhole } from "./checkpoint.js";
import { parseConfig, type Config, type ConfigInput } from "./config/config.js";
import { isRun } from "./run-folder.js";
import { isServed, isUnnamed } from "./served-model.js";

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
 * @throws UserError when there is none, the adapter's configuration cannot be used, or a model of the Hub cannot be had
 */
export async function locateModel(
  nameOrPath: string,
  options: PullOptions = {},
): Promise<Pick<LocalOptions, "model" | "base" | "baseName">> {
  const { name, location } = await pinModel(nameOrPath, options);
  const model = modelFolder(location);
  if (!existsSync(model)) throw noModel(nameOrPath);
  if (isRun(model)) throw runAsModel(model);
  await requireWhole(model);
  if (!isAdapterFolder(model)) return { model, baseName: nameOfModel(name, model) };
  const { base: named } = await readAdapterConfig(model);
  const base = await locateBase(model, named && modelFolder(named), options);
  return { model, base: base.location, baseName: base.name };
}

function noModel(name: string): UserError {
  const onHub = /^[\w-][\w.-]*\/[\w.-]+$/.test(name) ? ` A model of the Hugging Face Hub is named hf:${name}.` : "";
  const shipped = [...shippedModels].join(", ");
  return new UserError(
    `There is no model ${name}. Give the path of a Hugging Face folder, a .gguf file or an adapter folder, or a name: hf:ORG/NAME, ${shipped}.${onHub}`,
  );
}

function runAsModel(run: string): UserError {
  const best = path.join(run, "best");
  const advice = existsSync(best)
    ? `Name its best model: ${best}`
    : `Name the model of a checkpoint: ${path.join(run, "checkpoints", "step-…", "policy")}`;
  return new UserError(`${run} is the folder of a run, and not a model. ${advice}`);
}

/**
 * A checked configuration with its model settled, so that a run that goes on means the same. A model of the Hub is fetched and named by its
 * commit: a branch may move. A protocol that is `auto` is chosen.
 * @param options.policy in place of the model that the configuration names
 * @throws UserError for values that cannot be used, and when the model cannot be had
 */
export async function settleConfig(
  input: ConfigInput,
  { policy, signal }: { policy?: Policy; signal?: AbortSignal } = {},
): Promise<Config> {
  const config = parseConfig(input);
  return policy === undefined ? pinConfig(config, { signal }) : withProtocol(config, policy.tokenizer);
}

/**
 * The same for a configuration that is checked, and a model of its own.
 * @throws UserError when the model cannot be had
 */
export async function pinConfig(config: Config, options: PullOptions = {}): Promise<Config> {
  if (isServed(config)) return pinServed(config, options);
  const { name } = await pinModel(config.model.folder, options);
  const pinned = { ...config, model: { ...config.model, folder: name } };
  if (config.rollout.protocol !== "auto") return pinned;
  return withProtocol(pinned, await tokenizerOf(await locateModel(name, options)));
}

/**
 * What tells a model from one that was trained on in its place: by a sample of its weights, and of its base's where it is an adapter.
 * @throws UserError when there is no such model
 */
export async function modelFingerprint(nameOrPath: string): Promise<string> {
  const { model, base } = await locateModel(nameOrPath);
  const isWeights = (name: string): boolean => /\.(safetensors|gguf|bin)$/.test(name);
  const all = [model, ...(base === undefined ? [] : [base])];
  return (await Promise.all(all.map((location) => fingerprintOf(location, isWeights)))).join("+");
}

/**
 * What can be known of a model without opening it: its tokenizer, and the tokens that it can read.
 * @throws UserError when the model cannot be had or read
 */
export async function readModel(nameOrPath: string, options: PullOptions = {}): Promise<ModelFacts> {
  const located = await locateModel(nameOrPath, options);
  const config = await readModelConfig(located.base ?? located.model);
  return { tokenizer: await tokenizerOf(located), contextLength: contextOf(config) };
}

/**
 * The same of the model that a configuration names, be it on this machine or behind a server.
 * @throws UserError when the model, or the tokenizer of a served one, cannot be had or read
 */
export async function factsOf(config: Config, options: PullOptions = {}): Promise<ModelFacts> {
  return isServed(config) ? servedFacts(config, options) : readModel(config.model.folder, options);
}

/** Of a served model, only the tokenizer is on this machine. The model has a name from here on. */
async function pinServed(config: Config, options: PullOptions): Promise<Config> {
  const { url, model: asked } = config.server;
  const { name: tokenizer } = await pinTokenizer(config.server.tokenizer, options);
  const model = asked === "" ? await onlyModel({ url, key: serverKey() }, options.signal) : asked;
  const pinned = { ...config, server: { ...config.server, model, tokenizer } };
  return config.rollout.protocol === "auto"
    ? withProtocol(pinned, (await servedFacts(pinned, options)).tokenizer)
    : pinned;
}

/**
 * What counts the tokens of a served model, and what it can read as far as that is known without asking the server.
 * @throws UserError when the tokenizer cannot be had or read
 */
export async function servedFacts(config: Config, options: PullOptions = {}): Promise<ModelFacts> {
  const { tokenizer: named, contextLength: asked } = config.server;
  const contextLength = asked === "auto" ? Infinity : asked;
  if (named !== "") {
    const { location } = await pinTokenizer(named, options);
    if (!existsSync(location)) throw noTokenizer(named);
    return {
      tokenizer: await loadTokenizer(location),
      contextLength: Math.min(contextLength, await readableTokens(location)),
    };
  }
  // A model of this machine counts for another one, whose context is its own.
  return {
    tokenizer: isUnnamed(config) ? countingTokenizer() : (await readModel(config.model.folder, options)).tokenizer,
    contextLength,
  };
}

/** The positions that a model's files name; the model may be one that only the server can compute. */
async function readableTokens(location: string): Promise<number> {
  if (isGguf(location)) return (await readModelConfig(location)).maxPositions;
  const { max_position_embeddings: positions } = (await readOptionalJson(path.join(location, "config.json"))) ?? {};
  return typeof positions === "number" && positions >= 1 ? positions : Infinity;
}

function noTokenizer(name: string): UserError {
  return new UserError(
    `There is no ${name}, which server.tokenizer names. Give the folder of the served model's tokenizer.json, its .gguf file or hf:ORG/NAME; or leave it out, and the server lays prompts out (server.api=chat).`,
  );
}

/** An adapter's own tokenizer and template come before its base's. */
function tokenizerOf({ model, base }: Pick<LocalOptions, "model" | "base">): Promise<Tokenizer> {
  return base === undefined ? loadTokenizer(model) : loadTokenizer(base, model);
}

/** Chooses the protocol, where it is `auto`, that suits the tokenizer's model and whether it can search. */
export function withProtocol(config: Config, tokenizer: Tokenizer): Config {
  if (config.rollout.protocol !== "auto") return config;
  const { method, maxSearches } = config.rollout;
  // Other methods make their prompts of the searching one.
  const canSearch = method !== "search-r1" || (config.search.engine !== "none" && maxSearches > 0);
  return { ...config, rollout: { ...config.rollout, protocol: protocolFor(tokenizer, { canSearch }) } };
}
