/**
 * @file A low-rank adapter as a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`, in and out. What would make
 * the adapter compute something else than W·x + (α/r)·B·A·x on whole kinds of layers is refused by name.
 */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../../errors.js";
import type { ModelConfig } from "../model/config.js";
import { allInputs, type ChannelRanges } from "../model/int8.js";
import { adapterShapes, allLoraTargets, type Adapter, type LoraConfig, type LoraTarget } from "../model/lora.js";
import { createParameterStore, parameter, type ParameterShape } from "../model/parameters.js";
import { firstIssue, readRequiredJson } from "../../files/json-file.js";
import { type FloatType, namedTensors, SafetensorsFile, writeSafetensors } from "./safetensors.js";
import { indexFile, weightsFile } from "./safetensors-set.js";
import { checkFinite } from "./tensor-set.js";
import { tokenizerFile } from "./tokenizer-files.js";

export const adapterConfigFile = "adapter_config.json";
export const adapterWeightsFile = "adapter_model.safetensors";
/** Ours: beside an adapter that was trained on a base in 8 bits. */
export const channelRangesFile = "channel_ranges.safetensors";

/** PEFT wraps the model twice: `base_model` is the tuner, `model` inside it the language model. */
const prefix = "base_model.model.";

/** An adapter and the model it belongs to. */
interface AdapterFolder {
  adapter: Adapter;
  /** `hf:ORG/NAME[@revision]`, or the path of a folder or `.gguf` file; absent where the adapter does not say. */
  base?: string;
  /** How large the inputs of linear layers got when the base was made 8-bit numbers; absent where the adapter was trained on float32. */
  ranges?: ChannelRanges;
}

/** Whether the folder holds a PEFT adapter. */
export function isAdapterFolder(location: string): boolean {
  return existsSync(path.join(location, adapterConfigFile));
}

/** What lies beside an adapter and is not read: a sentence for each that its user may have meant. */
export function unreadBesideAdapter(folder: string): string[] {
  const has = (name: string): boolean => existsSync(path.join(folder, name));
  const weights = [weightsFile, indexFile].find(has);
  const tokenizer = has(tokenizerFile) ? undefined : ["tokenizer.model", "vocab.json", "added_tokens.json"].find(has);
  return [
    ...(weights === undefined
      ? []
      : [`${folder} holds an adapter and a whole model (${weights}). The adapter is used, on the base that it names.`]),
    ...(tokenizer === undefined
      ? []
      : [`${folder} has a tokenizer in ${tokenizer} and no ${tokenizerFile}, so the tokenizer of its base is used.`]),
  ];
}

/**
 * Loads an adapter for a model of this architecture, checked before anything is computed: no tensor is missing or unknown, every
 * shape fits, all numbers are finite.
 * @throws UserError naming file, field or tensor, and what to do
 */
export async function loadAdapterFolder(folder: string, config: ModelConfig): Promise<AdapterFolder> {
  const { lora, base } = await readAdapterConfig(folder);
  const weights = await SafetensorsFile.open(adapterWeights(folder));
  try {
    const parameters = createParameterStore(adapterShapes(config, lora));
    checkTensors(weights, parameters.shapes, base);
    for (const { name } of parameters.shapes) {
      const values = await weights.read(prefix + name, parameter(parameters, name));
      checkFinite(weights.file, prefix + name, values);
    }
    return { adapter: { lora, parameters }, base, ranges: await loadChannelRanges(folder, config) };
  } finally {
    await weights.close();
  }
}

/**
 * Writes an adapter as PEFT does. Not atomic by itself: the caller writes into a temporary folder.
 * @param options.base what the user gave: `hf:ORG/NAME[@revision]` or a path
 * @param options.dtype type of the stored matrices; F32 (the default) loses nothing
 */
export async function saveAdapterFolder(
  folder: string,
  options: { adapter: Adapter; base: string; config: ModelConfig; dtype?: FloatType; ranges?: ChannelRanges },
): Promise<void> {
  const { adapter, base, config, dtype = "F32", ranges } = options;
  const { lora, parameters } = adapter;
  await mkdir(folder, { recursive: true });
  await writeFile(
    path.join(folder, adapterConfigFile),
    `${JSON.stringify(toAdapterConfigJson(lora, base), null, 2)}\n`,
  );
  await writeSafetensors(
    path.join(folder, adapterWeightsFile),
    namedTensors({ ...parameters, shapes: adapterShapes(config, lora) }, prefix),
    {
      dtype,
      metadata: { format: "pt" },
    },
  );
  if (ranges) await saveRanges(folder, ranges);
}

async function saveRanges(folder: string, ranges: ChannelRanges): Promise<void> {
  const tensors = [...ranges].map(([name, data]) => ({ name, shape: [data.length], data }));
  await writeSafetensors(path.join(folder, channelRangesFile), tensors);
}

/** Whether the adapter of the folder was trained over 8-bit weights. */
export function hasChannelRanges(folder: string): boolean {
  return existsSync(path.join(folder, channelRangesFile));
}

/**
 * What the 8-bit numbers under the folder's adapter were made from; undefined where it was trained over float32.
 * @throws UserError when the file is damaged or of another model
 */
export async function loadChannelRanges(folder: string, config: ModelConfig): Promise<ChannelRanges | undefined> {
  const location = path.join(folder, channelRangesFile);
  if (!hasChannelRanges(folder)) return undefined;
  const file = await SafetensorsFile.open(location);
  try {
    const ranges = new Map<string, Float32Array>();
    for (const { input, width } of allInputs(config)) {
      const shape = file.tensors.get(input)?.shape;
      if (String(shape) !== String([width])) {
        throw new UserError(
          `${location}: the ranges of ${input} ${shape ? `have the shape [${shape.join()}]` : "are missing"}, but the model needs [${width}]. ` +
            "The file belongs to another model; copy the whole folder again.",
        );
      }
      const range = await file.read(input);
      checkFinite(location, input, range);
      ranges.set(input, range);
    }
    return ranges;
  } finally {
    await file.close();
  }
}

/** `adapter_config.json` as PEFT's `LoraConfig` would read it. */
function toAdapterConfigJson({ rank, alpha, targets }: LoraConfig, base: string): Record<string, unknown> {
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    ...writtenBase(base),
    r: rank,
    lora_alpha: alpha,
    target_modules: [...targets],
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
    modules_to_save: null,
    rank_pattern: {},
    alpha_pattern: {},
    use_dora: false,
    use_rslora: false,
  };
}

/** PEFT finds Hub models by their bare name. A path is made absolute: the adapter may be moved, its base stays. */
function writtenBase(base: string): { base_model_name_or_path: string; revision: string | null } {
  if (!base.startsWith("hf:")) return { base_model_name_or_path: path.resolve(base), revision: null };
  const [name, revision] = base.slice("hf:".length).split("@", 2);
  return { base_model_name_or_path: name, revision: revision ?? null };
}

/** A path that exists is meant; else what looks like ORG/NAME is a model of the Hub. */
function readBase(name: string, revision: string | null): string {
  if (name.startsWith("hf:")) return name;
  if (existsSync(name)) return path.resolve(name);
  if (!/^[\w-][\w.-]*\/[\w.-]+(\/[\w./-]+\.gguf)?$/i.test(name)) return name;
  return `hf:${name}${revision === null ? "" : `@${revision}`}`;
}

const schema = z.looseObject({
  peft_type: z.string(),
  r: z.int().positive(),
  lora_alpha: z.number().positive(),
  target_modules: z.unknown(),
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().min(1).nullish(),
  bias: z.string().default("none"),
  use_rslora: z.boolean().default(false),
  init_lora_weights: z.union([z.boolean(), z.string()]).default(true),
});
type ConfigJson = z.infer<typeof schema>;

/** Fields that are read here, or say nothing about what a finished adapter computes. */
const harmless = new Set([
  ...Object.keys(schema.shape),
  "auto_mapping",
  "corda_config",
  "ensure_weight_tying",
  "eva_config",
  "fan_in_fan_out",
  "inference_mode",
  "layers_pattern",
  "loftq_config",
  "lora_dropout",
  "lora_ga_config",
  "megatron_config",
  "megatron_core",
  "peft_version",
  "qalora_group_size",
  "task_type",
]);

/** What the better-known of the other fields ask for. */
const unsupported: Readonly<Record<string, string>> = {
  use_dora: "weight-decomposed updates (DoRA)",
  lora_bias: "biases on the update",
  modules_to_save: "layers that were trained whole",
  rank_pattern: "ranks that differ between layers",
  alpha_pattern: "alphas that differ between layers",
  layers_to_transform: "updates of some layers only",
  exclude_modules: "updates of some layers only",
  layer_replication: "repeated layers",
  trainable_token_indices: "embeddings that were trained",
  target_parameters: "updates of single parameters",
};

/** Starts that leave the base model as it was. Others (PiSSA, OLoRA, CorDA, LoftQ, …) move a part of its weights into the adapter. */
const harmlessStarts = ["gaussian", "eva", "orthogonal"];

/**
 * Reads and checks `adapter_config.json` alone. Rank-stabilised adapters (arXiv:2312.03732: the scale is α/√r) come back with an
 * alpha of α·√r, which is the same update.
 * @throws UserError naming the field that is missing, malformed or not supported
 */
export async function readAdapterConfig(folder: string): Promise<{ lora: LoraConfig; base?: string }> {
  const file = path.join(folder, adapterConfigFile);
  return parseAdapterConfig(await readRequiredJson(file, "Is the folder a PEFT adapter? Check the path."), file);
}

/** The same for a parsed file, which `file` names in messages. */
export function parseAdapterConfig(json: unknown, file: string): { lora: LoraConfig; base?: string } {
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw problem(file, firstIssue(parsed.error));
  const fields = parsed.data;
  refuseUnsupported(fields, file);
  const { r: rank, lora_alpha, use_rslora, base_model_name_or_path, revision } = fields;
  const alpha = use_rslora ? lora_alpha * Math.sqrt(rank) : lora_alpha;
  const targets = targetsOf(fields.target_modules, file);
  const base = base_model_name_or_path ? readBase(base_model_name_or_path, revision ?? null) : undefined;
  return { lora: { rank, alpha, targets }, base };
}

function refuseUnsupported(fields: ConfigJson, file: string): void {
  const refuse = (field: string, why: string): never => {
    throw problem(
      file,
      `field "${field}" asks for ${why}, which is not supported. ` +
        "Merge the adapter into its base with PEFT (merge_and_unload, then save_pretrained) and open the merged model",
    );
  };
  if (fields.peft_type !== "LORA") refuse("peft_type", `an adapter of the kind ${fields.peft_type}`);
  if (fields.bias !== "none") refuse("bias", `trained biases (${fields.bias})`);
  const start = fields.init_lora_weights;
  if (typeof start === "string" && !harmlessStarts.includes(start)) {
    refuse("init_lora_weights", `a base whose weights the adapter changed before training (${start})`);
  }
  for (const [field, value] of Object.entries(fields)) {
    if (harmless.has(field) || isNeutral(value)) continue;
    refuse(field, unsupported[field] ?? "something that Sleuth does not know");
  }
}

/** PEFT writes every field that it knows; one that is off changes nothing. */
function isNeutral(value: unknown): boolean {
  if (value === null || value === false || value === "none") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** The adapted kinds of layers, in our order. PEFT writes the last parts of their names, or whole paths. */
function targetsOf(targetModules: unknown, file: string): LoraTarget[] {
  if (targetModules === "all-linear") return [...allLoraTargets];
  if (typeof targetModules === "string") {
    throw problem(
      file,
      `field "target_modules" is the pattern "${targetModules}", but only a list of names or "all-linear" can be read. ` +
        `Write the list, of ${allLoraTargets.join(", ")}`,
    );
  }
  const names = z.array(z.string()).min(1).safeParse(targetModules);
  if (!names.success) throw problem(file, 'field "target_modules" must be a list of names or "all-linear"');
  const found = new Set<string>();
  for (const name of names.data) {
    const last = name.slice(name.lastIndexOf(".") + 1);
    if (!(allLoraTargets as readonly string[]).includes(last)) {
      throw problem(
        file,
        `field "target_modules" names "${name}", but only ${allLoraTargets.join(", ")} can be adapted. ` +
          "Merge the adapter into its base with PEFT (merge_and_unload, then save_pretrained) and open the merged model",
      );
    }
    found.add(last);
  }
  return allLoraTargets.filter((target) => found.has(target));
}

function adapterWeights(folder: string): string {
  const file = path.join(folder, adapterWeightsFile);
  if (existsSync(file)) return file;
  const pickled = path.join(folder, "adapter_model.bin");
  throw new UserError(
    existsSync(pickled)
      ? `${folder} has its weights in ${path.basename(pickled)}, a format that can run code when it is read. ` +
          "Load it with PEFT and save it again (save_pretrained writes safetensors)."
      : existsSync(path.join(folder, weightsFile))
        ? `${folder} has no ${adapterWeightsFile}, but the weights of a whole model. If that is meant, delete ${adapterConfigFile} there.`
        : `${folder} has no ${adapterWeightsFile}. Copy it from the adapter's source.`,
  );
}

function checkTensors(
  { file, tensors }: SafetensorsFile,
  shapes: readonly ParameterShape[],
  base = "a model that it does not name",
): void {
  const origin = `The adapter was made for ${base}: open it with that model`;
  const expected = new Set(shapes.map(({ name }) => prefix + name));
  for (const { name, shape } of shapes) {
    const entry = tensors.get(prefix + name);
    if (!entry) {
      throw new UserError(
        `${file} lacks the tensor "${prefix + name}", which this base model and ${adapterConfigFile} call for. ${origin}. ` +
          "An adapter of some layers only is not supported.",
      );
    }
    if (entry.shape.join() !== shape.join()) {
      throw new UserError(
        `${file}: tensor "${prefix + name}" has the shape [${entry.shape.join(", ")}], but this base model and r in ` +
          `${adapterConfigFile} call for [${shape.join(", ")}]. ${origin}, or copy both files again.`,
      );
    }
  }
  const unknown = [...tensors.keys()].filter((name) => !expected.has(name));
  if (unknown.length === 0) return;
  throw new UserError(
    `${file} has the unexpected tensor "${unknown[0]}"${unknown.length > 1 ? ` and ${unknown.length - 1} more` : ""}: ` +
      `leaving it out would change the model. ${origin}; embeddings or heads inside an adapter are not supported.`,
  );
}

function problem(file: string, text: string): UserError {
  return new UserError(`${file}, ${text}.`);
}
