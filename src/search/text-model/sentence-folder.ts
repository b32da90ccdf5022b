/**
 * @file What sentence-transformers keeps beside a model, as it was saved up to 5.3 and as it is saved since: the modules that come one after another,
 * how the vectors of tokens become one, what is put before texts, and how long these may be. What Sleuth cannot do is refused by name.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { sentenceConfigFiles, sentencePromptsFile } from "../../engine/io/hub/selection.js";
import { weightsFile } from "../../engine/io/safetensors-set.js";
import { UserError } from "../../errors.js";
import { readOptionalJson, readOptionalJsonAs, readRequiredJson, type Json } from "../../files/json-file.js";
import { isSafePath } from "../../files/safe-path.js";

/** How the vectors of tokens become one: their mean, that of the first token, or as the graph itself pools (its output `sentence_embedding`). */
export type Pooling = "mean" | "cls" | "model";

/** A module behind the pooling, in the order in which they work: a linear layer, or bringing the vector to length one. */
export type Head = DenseHead | "normalize";

/** `activation(W x + b)`, plus x where it is residual (through a matrix of its own, where the lengths differ). */
export interface DenseHead {
  /** The folder with `model.safetensors`: `linear.weight` [outputs, inputs], `linear.bias` [outputs], `residual.weight`. */
  folder: string;
  inputs: number;
  outputs: number;
  hasBias: boolean;
  isResidual: boolean;
  activation: Activation;
}

/** Of torch.nn. */
export type Activation = (typeof activations)[number];

const activations = ["Identity", "Tanh", "ReLU", "Sigmoid"] as const;

/** What makes one vector of a text's tokens. */
export interface SentenceModules {
  /** Undefined where no file says. */
  pooling: Exclude<Pooling, "model"> | undefined;
  /** Whether the tokens of what is put before a text count in its vector. */
  includesPrompt: boolean;
  heads: Head[];
  /** So many numbers from the beginning are kept of what the last module gives; undefined for all. */
  dimensions: number | undefined;
}

interface Module {
  kind: string;
  folder: string;
}

const modulesFile = "modules.json";
const advice = "Copy the folder again from the model's source, or choose another encoder.";

/**
 * The folder of the transformer: the one that `modules.json` names first, else `root` itself.
 * @throws UserError for a `modules.json` that cannot be used
 */
export async function transformerFolder(root: string): Promise<string> {
  return (await readModules(root))?.[0].folder ?? root;
}

/**
 * The modules behind the transformer. Without a `modules.json`, that is the pooling in `1_Pooling` where it exists.
 * @throws UserError naming the module or the setting that Sleuth cannot run
 */
export async function readSentenceModules(root: string): Promise<SentenceModules> {
  const listed = await readModules(root);
  const transformer = listed?.[0].folder ?? root;
  await checkTransformer(transformer);
  const modules = listed?.slice(1) ?? [{ kind: "Pooling", folder: path.join(root, "1_Pooling") }];
  const dimensions = await readDimensions(root);
  const found: SentenceModules = { pooling: undefined, includesPrompt: true, heads: [], dimensions };
  for (const [place, { kind, folder }] of modules.entries()) {
    if (kind === "Pooling" && place === 0) Object.assign(found, await readPooling(folder, listed !== undefined));
    else if (kind === "Dense") found.heads.push(await readDense(folder));
    else if (kind === "Normalize") found.heads.push(await readNormalize(folder));
    // Only in training does a Dropout do something.
    else if (kind !== "Dropout")
      throw new UserError(
        `${path.join(root, modulesFile)} has the module "${kind}" at place ${place + 2}; Sleuth runs one Transformer, then Pooling, then Dense and Normalize. Choose another encoder, or export the model with ` +
          "its modules inside the graph (an output `sentence_embedding`) and leave modules.json out.",
      );
  }
  return found;
}

/** `truncate_dim`: the model was trained so that the beginning of a vector is one, too. */
async function readDimensions(root: string): Promise<number | undefined> {
  const file = path.join(root, sentencePromptsFile);
  const { truncate_dim: kept = null } = (await readOptionalJson(file)) ?? {};
  if (kept === null) return undefined;
  if (!isSize(kept)) throw new UserError(`${file} has the truncate_dim ${JSON.stringify(kept)}, no size. ${advice}`);
  return kept;
}

const modulesSchema = z.array(z.looseObject({ type: z.string(), path: z.string() }));

/** Undefined without a `modules.json`. */
async function readModules(root: string): Promise<[Module, ...Module[]] | undefined> {
  const file = path.join(root, modulesFile);
  const listed = await readOptionalJsonAs(file, modulesSchema, advice);
  if (listed === undefined) return undefined;
  const damaged = (why: string): UserError => new UserError(`${file} ${why}. ${advice}`);
  const modules = listed.map(({ type, path: place }): Module => {
    if (place !== "" && !isSafePath(place)) throw damaged("names a folder outside the model's own");
    // Classes of the library have moved within it; classes of others are programs that come with the model.
    const kind = /^sentence_transformers\.(?:\w+\.)*(\w+)$/.exec(type)?.[1] ?? type;
    return { kind, folder: place === "" ? root : path.join(root, place) };
  });
  const [first, ...others] = modules;
  if (first?.kind !== "Transformer")
    throw damaged(`begins with the module "${first?.kind ?? "none"}" and no Transformer`);
  return [first, ...others];
}

const promptNames = { query: ["query"], passage: ["document", "passage", "corpus"] };

/**
 * What `config_sentence_transformers.json` has put before queries and passages; undefined where it has nothing but empty prompts. A kind of text without
 * a prompt of its own gets the one that is named as default.
 *
 * Departure from sentence-transformers (5.4.1, 6.2.0), whose `encode_document` takes the prompt "document" only, which the library itself adds and leaves empty where a
 * model has "passage"; and which for a default prompt leaves queries and documents without one.
 * @throws UserError where it has prompts and none of them is for queries or passages
 */
export async function readPrompts(root: string): Promise<{ query: string; passage: string } | undefined> {
  const file = path.join(root, sentencePromptsFile);
  const { prompts = {}, default_prompt_name: usual } = (await readOptionalJson(file)) ?? {};
  const texts = typeof prompts === "object" && prompts !== null ? (prompts as Record<string, unknown>) : {};
  const textOf = (names: readonly string[]): string | undefined =>
    names
      .map((name) => (Object.hasOwn(texts, name) ? texts[name] : undefined))
      .find((text): text is string => typeof text === "string" && text !== "");
  const [query, passage] = [textOf(promptNames.query), textOf(promptNames.passage)];
  const isForOneKind = typeof usual === "string" && Object.values(promptNames).flat().includes(usual);
  const other = typeof usual === "string" && !isForOneKind ? textOf([usual]) : undefined;
  const named = Object.keys(texts).filter((name) => textOf([name]) !== undefined);
  if (named.length === 0) return undefined;
  if ((query ?? passage ?? other) === undefined)
    throw new UserError(
      `${file} has the prompts ${named.join(", ")}, and none of them is named query or document: Sleuth cannot know which one queries need. ` +
        'Give the right one the name "query" in a copy of the folder (and that of passages the name "document"), or set queryPrefix and passagePrefix in code.',
    );
  return { query: query ?? other ?? "", passage: passage ?? other ?? "" };
}

/** How a folder's texts are cut and written. */
interface TextLimits {
  /** Most tokens of a text, those that the tokenizer adds included; undefined where no file says. */
  maxTokens: number | undefined;
  /** Whether texts become lower case before the tokenizer's own normalisation. */
  isLowerCase: boolean;
}

/**
 * `max_seq_length` of the first `sentence_*_config.json` that is there, else `model_max_length` of the tokenizer: in this order, as sentence-transformers does.
 * @param folder the transformer's
 */
export async function readTextLimits(folder: string): Promise<TextLimits> {
  const { max_seq_length: own, do_lower_case: isLowerCase } = await readTransformerConfig(folder);
  const { model_max_length: tokenizers } = (await readOptionalJson(path.join(folder, "tokenizer_config.json"))) ?? {};
  // A tokenizer without a limit of its own has one of 1e30.
  const maxTokens = [own, tokenizers].find((value) => typeof value === "number" && value > 0 && value < 1e9);
  return { maxTokens: maxTokens as number | undefined, isLowerCase: isLowerCase === true };
}

async function readTransformerConfig(folder: string): Promise<Json> {
  for (const name of sentenceConfigFiles) {
    const config = await readOptionalJson(path.join(folder, name));
    if (config !== undefined && Object.keys(config).length > 0) return config;
  }
  return {};
}

async function checkTransformer(folder: string): Promise<void> {
  const { transformer_task: task = "feature-extraction", modality_config: modalities } =
    await readTransformerConfig(folder);
  const { method = "forward", method_output_name: output = "last_hidden_state" } = ((
    modalities as { text?: Json } | undefined
  )?.text ?? {}) as Json;
  if (task === "sequence-classification")
    throw new UserError(`${folder} is a classifier or cross-encoder (transformer_task "${task}"). Name an encoder.`);
  if (task !== "feature-extraction" || method !== "forward" || output !== "last_hidden_state")
    throw new UserError(
      `${folder} makes its vectors by ${JSON.stringify(task)}, method ${JSON.stringify(method)} and output ${JSON.stringify(output)}; Sleuth can feature-extraction, forward and last_hidden_state. Choose another encoder.`,
    );
}

/** @param isNamed whether `modules.json` names it, so that it must be there */
async function readPooling(
  folder: string,
  isNamed: boolean,
): Promise<Pick<SentenceModules, "pooling" | "includesPrompt"> | undefined> {
  const file = path.join(folder, "config.json");
  const config = isNamed ? await readRequiredJson(file, advice) : await readOptionalJson(file);
  if (config === undefined) return undefined;
  const modes = poolingModes(config);
  const [mode] = modes;
  if (modes.length !== 1 || (mode !== "mean" && mode !== "cls"))
    throw new UserError(
      `${file} asks for the pooling ${modes.join(" with ") || "of no kind"}; Sleuth can mean and cls. Choose another encoder.`,
    );
  return { pooling: mode, includesPrompt: config.include_prompt !== false };
}

/** One setting since 5.4; flags before, and the mean where none is set. */
function poolingModes(config: Json): string[] {
  const { pooling_mode: mode } = config;
  if (mode !== undefined) return (Array.isArray(mode) ? mode : [mode]).map(String);
  const flags = Object.keys(config).filter((key) => key.startsWith("pooling_mode_") && config[key] === true);
  const names = flags.map((flag) => flag.replace(/^pooling_mode_(\w+?)(_tokens?)?$/, "$1"));
  return names.length === 0 ? ["mean"] : names;
}

async function readNormalize(folder: string): Promise<Head> {
  const file = path.join(folder, "config.json");
  checkFeature((await readOptionalJson(file)) ?? {}, file);
  return "normalize";
}

async function readDense(folder: string): Promise<Head> {
  const file = path.join(folder, "config.json");
  const config = await readRequiredJson(file, advice);
  checkFeature(config, file);
  const { in_features: inputs, out_features: outputs, activation_function: given = "torch.nn.Tanh" } = config;
  const activation = activations.find((name) => new RegExp(`^torch\\.nn\\.(\\w+\\.)*${name}$`).test(String(given)));
  if (activation === undefined)
    throw new UserError(
      `${file} asks for the activation ${JSON.stringify(given)}; Sleuth has ${activations.join(", ")} of torch.nn. Choose another encoder.`,
    );
  if (!isSize(inputs) || !isSize(outputs))
    throw new UserError(`${file} has no usable in_features and out_features. ${advice}`);
  if (!existsSync(path.join(folder, weightsFile)))
    throw new UserError(
      `${folder} has no ${weightsFile}. Where it has pytorch_model.bin, which Sleuth does not read, open the model with sentence-transformers and save it again; else copy the file from the model's source.`,
    );
  return {
    folder,
    inputs,
    outputs,
    activation,
    hasBias: config.bias !== false,
    isResidual: config.use_residual === true,
  };
}

function checkFeature({ module_input_name: input, module_output_name: output }: Json, file: string): void {
  for (const name of [input, output])
    if (name !== undefined && name !== null && name !== "sentence_embedding")
      throw new UserError(
        `${file} works on ${JSON.stringify(name)}; Sleuth can sentence_embedding. Choose another encoder.`,
      );
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
