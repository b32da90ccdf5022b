/** @file The metadata of a GGUF file as a `ModelConfig`, and where llama.cpp keeps the tensors that Hugging Face names otherwise. */
import { UserError } from "../../errors.js";
import {
  modelTypes,
  mostLayers,
  type ModelConfig,
  type ModelType,
  rotaryFrequencies,
  type RopeScaling,
} from "../model/config.js";
import type { GgufFile, GgufHeader } from "./gguf-file.js";
import { checkTensors, type StoredTensor, type TensorSet } from "./tensor-set.js";

/** The divisors of the rotary frequencies, where the converter stored them as a tensor (Llama 3). */
const ropeDivisors = "rope_freqs.weight";

/**
 * The configuration that the metadata describe. Of a header alone stored divisors of the rotary positions cannot be read, and are left out.
 * @throws UserError naming the field that is missing, malformed or not supported
 */
export async function readGgufConfig(gguf: GgufFile | GgufHeader): Promise<ModelConfig> {
  const { fields, file, tensors } = gguf;
  const modelType = architecture(gguf);
  const key = (name: string) => `${modelType}.${name}`;
  const count = (name: string): number => {
    const value = fields.required(key(name), "count");
    if (value > 0) return value;
    throw fields.damaged(key(name), "it is 0");
  };
  const layers = count("block_count");
  if (layers > mostLayers) throw fields.damaged(key("block_count"), `it is ${layers}, more than any model has`);
  refuseUnsupported(gguf, modelType);
  const hiddenSize = count("embedding_length");
  const heads = count("attention.head_count");
  const embedding = tensors.get("token_embd.weight");
  if (!embedding)
    throw new UserError(`${file} lacks the tensor "token_embd.weight". Take a file that holds a whole model.`);
  const config: ModelConfig = {
    modelType,
    hiddenSize,
    intermediateSize: count("feed_forward_length"),
    layers,
    heads,
    kvHeads: fields.count(key("attention.head_count_kv")) ?? heads,
    headDim: fields.count(key("attention.key_length")) ?? hiddenSize / heads,
    vocabSize: embedding.shape[0],
    rmsNormEps: shortest(fields.required(key("attention.layer_norm_rms_epsilon"), "number")),
    ropeTheta: shortest(fields.number(key("rope.freq_base")) ?? 10000),
    tieWordEmbeddings: !tensors.has("output.weight"),
    attentionBias: modelType === "qwen2",
    qkNorm: modelType === "qwen3",
    maxPositions: count("context_length"),
    eosTokenIds: [],
  };
  checkHeads(gguf, config);
  const ropeScaling = await scalingOf(gguf, config);
  return ropeScaling ? { ...config, ropeScaling } : config;
}

async function scalingOf(gguf: GgufFile | GgufHeader, config: ModelConfig): Promise<RopeScaling | undefined> {
  const { fields } = gguf;
  const { modelType } = config;
  const [stored, described] = [await scalingOfTensor(gguf, config), scalingOfFields(gguf, modelType)];
  if (stored && described) {
    throw fields.problem(
      `${modelType}.rope.scaling.type`,
      `rotary positions are scaled twice, by it and by the tensor "${ropeDivisors}", which is not supported. Choose another model.`,
    );
  }
  return stored ?? described;
}

/** Metadata numbers are float32: 1e-5 is stored as 0.00000999999975. The shortest decimal that rounds to it is what was meant. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === Math.fround(value)) return rounded;
  }
  return value;
}

function architecture({ fields }: GgufHeader): ModelType {
  const kind = fields.string("general.type") ?? "model";
  if (kind !== "model") {
    throw fields.problem(
      "general.type",
      `it is "${kind}", but only whole models are supported. Take the model, and of an adapter the folder that PEFT wrote.`,
    );
  }
  const field = "general.architecture";
  const name = fields.required(field, "string");
  const known = modelTypes.find((type) => type === name);
  if (known) return known;
  throw fields.problem(
    field,
    `it is "${name}", but only ${modelTypes.join(", ")} are supported. Choose another model.`,
  );
}

/** Fields of an architecture that are read here, or say nothing about what is computed. */
const knownFields = new Set([
  ...["block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size", "tensor_data_layout"],
  ...["attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"],
  ...["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", "attention.causal"],
  ...["rope.freq_base", "rope.dimension_count", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor"],
  ...["rope.scaling.original_context_length", "rope.scaling.finetuned", "expert_used_count"],
]);

/** What the better-known of the others ask for. */
const unsupported: Readonly<Record<string, string>> = {
  expert_count: "a mixture of experts",
  "attention.sliding_window": "sliding-window attention",
  "attention.scale": "scores of attention on another scale",
  "rope.scaling.attn_factor": "scores of attention on another scale",
  pooling_type: "vectors of whole texts (an encoder, not a model that writes)",
};

/** Refuses a model rather than compute something else than its makers meant. */
function refuseUnsupported({ fields }: GgufHeader, modelType: ModelType): void {
  const refuse = (name: string, why: string) => {
    throw fields.problem(`${modelType}.${name}`, `it asks for ${why}, which is not supported. Choose another model.`);
  };
  if (fields.boolean(`${modelType}.attention.causal`) === false)
    refuse("attention.causal", "attention to what comes later (an encoder, not a model that writes)");
  for (const key of fields.given(`${modelType}.`)) {
    const name = key.slice(modelType.length + 1);
    if (knownFields.has(name) || (/(scale|factor)$/.test(name) && fields.number(key) === 1)) continue;
    refuse(name, unsupported[name] ?? "something that Sleuth does not know");
  }
}

function checkHeads({ fields }: GgufHeader, config: ModelConfig): void {
  const { modelType, heads, kvHeads, headDim } = config;
  if (kvHeads === 0 || heads % kvHeads !== 0) {
    throw fields.damaged(
      `${modelType}.attention.head_count_kv`,
      `it is ${kvHeads}, which does not divide the ${heads} attention heads`,
    );
  }
  if (!Number.isInteger(headDim) || headDim === 0 || headDim % 2 !== 0) {
    throw fields.damaged(
      `${modelType}.attention.key_length`,
      `the width of a head is ${headDim}, but must be an even whole number`,
    );
  }
  for (const name of ["attention.value_length", "rope.dimension_count"]) {
    const width = fields.count(`${modelType}.${name}`) ?? headDim;
    if (width === headDim) continue;
    throw fields.problem(
      `${modelType}.${name}`,
      `it is ${width}, but heads are ${headDim} wide; models where the two differ are not supported. Choose another model.`,
    );
  }
}

/** As llama.cpp reads them: a factor without a type is linear, and old files have it under another name. */
function scalingOfFields({ fields }: GgufHeader, modelType: ModelType): RopeScaling | undefined {
  const key = `${modelType}.rope.scaling.type`;
  const [factorKey, oldKey] = [`${modelType}.rope.scaling.factor`, `${modelType}.rope.scale_linear`];
  const factor = fields.number(factorKey) ?? fields.number(oldKey);
  const type = fields.string(key) ?? (factor === undefined ? "none" : "linear");
  if (type === "none") return undefined;
  if (type !== "linear") {
    throw fields.problem(
      key,
      `it asks for scaled rotary positions (${type}), which are not supported. Choose another model.`,
    );
  }
  if (factor === undefined) fields.required(factorKey, "number");
  else if (factor > 0) return factor === 1 ? undefined : { type, factor: shortest(factor) };
  throw fields.damaged(factorKey, `it is ${factor}, but must be above 0`);
}

/**
 * The converter stores divisors, not the settings they come from. Every Llama 3 so far was made with the same settings but
 * for `factor`, which is the largest divisor; what they give must be what is stored.
 */
async function scalingOfTensor(gguf: GgufFile | GgufHeader, config: ModelConfig): Promise<RopeScaling | undefined> {
  if (!gguf.tensors.has(ropeDivisors) || !("read" in gguf)) return undefined;
  const divisors = await gguf.read(ropeDivisors);
  const factor = shortest(divisors.reduce((most, divisor) => Math.max(most, divisor), 0));
  const ropeScaling: RopeScaling = {
    type: "llama3",
    factor,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalMaxPositions: 8192,
  };
  const plain = rotaryFrequencies({ ...config, ropeScaling: undefined });
  const scaled = rotaryFrequencies({ ...config, ropeScaling });
  const agrees = (divisor: number, pair: number) => Math.abs(plain[pair] / scaled[pair] / divisor - 1) < 1e-4;
  if (divisors.length === plain.length && divisors.every(agrees)) return factor === 1 ? undefined : ropeScaling;
  throw new UserError(
    `${gguf.file}: tensor "${ropeDivisors}" scales the rotary positions otherwise than Llama 3 does, which is not supported. ` +
      "Take the model as a Hugging Face folder, or choose another one.",
  );
}

const layerNames: Record<string, string> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};
const otherNames: Record<string, string> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

/** The file's tensors under Hugging Face's names, their rows in Hugging Face's order. */
export function ggufTensors(gguf: GgufFile, config: ModelConfig): TensorSet {
  const { stored, ...places } = tensorPlaces(gguf);
  return {
    ...places,
    read: (name, target) => gguf.read(stored.get(name) ?? name, target, rowPlaces(name, config)),
    close: () => gguf.close(),
  };
}

/** @throws UserError when a header does not place every tensor that the configuration calls for, and no others */
export function checkGgufTensors(header: GgufHeader, config: ModelConfig): void {
  checkTensors(tensorPlaces(header), config);
}

function tensorPlaces(gguf: GgufHeader): Omit<TensorSet, "read" | "close"> & { stored: ReadonlyMap<string, string> } {
  const tensors = new Map<string, StoredTensor>();
  const stored = new Map<string, string>();
  for (const [ggufName, { shape }] of gguf.tensors) {
    const name = huggingFaceName(ggufName);
    if (name === undefined) continue;
    const other = stored.get(name);
    if (other !== undefined)
      throw new UserError(
        `${gguf.file} has two tensors for "${name}": "${other}" and "${ggufName}". Choose another file.`,
      );
    tensors.set(name, { file: gguf.file, shape });
    stored.set(name, ggufName);
  }
  return {
    described: `${gguf.file} (its metadata)`,
    location: gguf.file,
    tensors,
    stored,
  };
}

/** Hugging Face's name of a tensor of a GGUF file; undefined for the tensors that the configuration has already used. */
function huggingFaceName(name: string): string | undefined {
  if (name === ropeDivisors) return undefined;
  const [, layer, module, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const known = Object.hasOwn(layerNames, module ?? "")
    ? `model.layers.${layer}.${layerNames[module]}.${kind}`
    : undefined;
  return known ?? otherNames[name] ?? name;
}

/**
 * Where a stored row of a tensor belongs. For the architecture "llama", llama.cpp rotates neighbours (2j, 2j+1) instead of halves
 * (j, j + headDim/2), and its converter puts the rows of q and k in that order.
 */
function rowPlaces(name: string, { modelType, headDim }: ModelConfig): ((row: number) => number) | undefined {
  if (modelType !== "llama" || !/\.self_attn\.[qk]_proj\.weight$/.test(name)) return undefined;
  return (row) => {
    const within = row % headDim;
    return row - within + (within >> 1) + (within & 1 ? headDim / 2 : 0);
  };
}
