/** @file Hugging Face's `config.json` to and from a `ModelConfig`; what the builder cannot compute is refused by name. */
import { z } from "zod";
import { UserError } from "../../errors.js";
import { firstIssue } from "../../files/json-file.js";
import { modelTypes, mostLayers, type ModelConfig, type ModelType } from "../model/config.js";
import type { RopeScaling } from "../model/config.js";
import type { FloatType } from "./safetensors.js";

/** A model whose weights are stored in a few bits; the model that it was made of can be read. */
export class QuantizedModel extends UserError {}

const count = z.int().positive();
const ids = z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish();
const ropeSchema = z.looseObject({
  rope_theta: z.number().positive().optional(),
  rope_type: z.string().optional(),
  type: z.string().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: count.optional(),
  partial_rotary_factor: z.number().optional(),
});

const schema = z.looseObject({
  model_type: z.string(),
  architectures: z.array(z.string()).nullish(),
  is_causal: z.boolean().default(true),
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count.max(mostLayers),
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().optional(),
  rope_parameters: ropeSchema.nullish(),
  rope_scaling: ropeSchema.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  use_sliding_window: z.boolean().default(false),
  hidden_act: z.string().default("silu"),
  max_position_embeddings: count.optional(),
  layer_types: z.array(z.string()).nullish(),
  partial_rotary_factor: z.number().default(1),
  eos_token_id: ids,
});
type ConfigJson = z.infer<typeof schema>;
const kindSchema = schema.pick({ model_type: true, architectures: true });

/** @throws UserError naming the field */
function check<T>(shape: z.ZodType<T>, json: unknown, file: string): T {
  const parsed = shape.safeParse(json);
  if (parsed.success) return parsed.data;
  throw problem(file, firstIssue(parsed.error));
}

/** Hugging Face's defaults, for files that leave them out. */
const defaultPositions: Record<ModelType, number> = { llama: 2048, qwen2: 32768, qwen3: 32768 };
const knownArchitectures: Record<ModelType, string> = {
  llama: "LlamaForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};

/**
 * Reads a parsed `config.json`; `file` names it in messages.
 * @throws UserError naming the field that is missing, malformed or not supported
 */
export function parseModelConfig(json: unknown, file: string): ModelConfig {
  // Other kinds of models have other fields: the kind comes first.
  const modelType = supportedType(check(kindSchema, json, file), file);
  const fields = check(schema, json, file);
  refuseUnsupported(fields, modelType, file);
  const heads = fields.num_attention_heads;
  const config: ModelConfig = {
    modelType,
    hiddenSize: fields.hidden_size,
    intermediateSize: fields.intermediate_size,
    layers: fields.num_hidden_layers,
    heads,
    kvHeads: fields.num_key_value_heads ?? heads,
    headDim: fields.head_dim ?? (modelType === "qwen3" ? 128 : fields.hidden_size / heads),
    vocabSize: fields.vocab_size,
    rmsNormEps: fields.rms_norm_eps,
    ropeTheta: fields.rope_theta ?? fields.rope_parameters?.rope_theta ?? 10000,
    tieWordEmbeddings: fields.tie_word_embeddings,
    attentionBias: modelType === "qwen2",
    qkNorm: modelType === "qwen3",
    maxPositions: fields.max_position_embeddings ?? defaultPositions[modelType],
    eosTokenIds: [fields.eos_token_id ?? []].flat(),
  };
  checkConfig(config, file);
  const ropeScaling = scalingOf(fields, config, file);
  return ropeScaling ? { ...config, ropeScaling } : config;
}

const torchTypes: Record<FloatType, string> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** The `config.json` that Hugging Face's transformers would read as this model, with weights of the given type. */
export function toConfigJson(config: ModelConfig, dtype: FloatType = "F32"): Record<string, unknown> {
  const { modelType } = config;
  if (config.attentionBias !== (modelType === "qwen2") || config.qkNorm !== (modelType === "qwen3")) {
    throw new Error(`internal: a ${modelType} with these biases and norms has no Hugging Face counterpart`);
  }
  const [eos, ...more] = config.eosTokenIds;
  return {
    architectures: [knownArchitectures[modelType]],
    model_type: modelType,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocabSize,
    hidden_act: "silu",
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
    ...(config.ropeScaling && { rope_scaling: scalingJson(config.ropeScaling) }),
    tie_word_embeddings: config.tieWordEmbeddings,
    attention_bias: false,
    max_position_embeddings: config.maxPositions,
    eos_token_id: more.length > 0 ? config.eosTokenIds : (eos ?? null),
    torch_dtype: torchTypes[dtype],
  };
}

/** transformers 4 says `rope_scaling`, transformers 5 `rope_parameters`; a scaling stands in one of them. */
function scalingOf(fields: ConfigJson, { maxPositions }: ModelConfig, file: string): RopeScaling | undefined {
  const field = typeOfRope(fields.rope_scaling) === "default" ? "rope_parameters" : "rope_scaling";
  const rope = fields[field] ?? {};
  const type = typeOfRope(rope);
  if (type === "default") return undefined;
  const required = (name: keyof typeof rope): number => {
    const value = rope[name];
    if (typeof value === "number") return value;
    throw problem(file, `field "${field}" lacks "${String(name)}", which rotary positions of type ${type} need`);
  };
  if (type === "linear") return { type, factor: required("factor") };
  if (type !== "llama3") {
    throw unsupported(
      file,
      `field "${field}" asks for scaled rotary positions (${type}), which are not supported. Choose another model`,
    );
  }
  const scaling: RopeScaling = {
    type,
    factor: required("factor"),
    lowFrequencyFactor: required("low_freq_factor"),
    highFrequencyFactor: required("high_freq_factor"),
    originalMaxPositions: rope.original_max_position_embeddings ?? maxPositions,
  };
  if (scaling.highFrequencyFactor > scaling.lowFrequencyFactor) return scaling;
  throw problem(
    file,
    `field "${field}": "high_freq_factor" is ${scaling.highFrequencyFactor}, but must be above "low_freq_factor", ${scaling.lowFrequencyFactor}`,
  );
}

function typeOfRope(rope: z.infer<typeof ropeSchema> | null | undefined): string {
  return rope?.rope_type ?? rope?.type ?? "default";
}

function scalingJson(scaling: RopeScaling): Record<string, unknown> {
  if (scaling.type === "linear") return { rope_type: "linear", factor: scaling.factor };
  return {
    rope_type: "llama3",
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalMaxPositions,
  };
}

/** What other kinds of models are, where their names tell. */
const otherKinds: readonly [RegExp, string][] = [
  [
    /bert|mpnet|electra|nomic|xlm-?r|^gte|^jina/i,
    " (an encoder: it turns texts into vectors and writes none; `sleuth index --encoder` takes such models)",
  ],
  [/_vl|llava|vision|image|idefics|pixtral|clip/i, " (a model of images)"],
  [/moe|mixtral|deepseek_v/i, " (a mixture of experts)"],
  [/^t5|bart|pegasus|marian|whisper/i, " (an encoder with a decoder)"],
];

function supportedType({ model_type: type, architectures }: z.infer<typeof kindSchema>, file: string): ModelType {
  const known = modelTypes.find((name) => name === type);
  if (!known) {
    const kind = otherKinds.find(([pattern]) => pattern.test(type))?.[1] ?? "";
    throw unsupported(
      file,
      `field "model_type" is "${type}"${kind}, but only ${modelTypes.join(", ")} are supported. Choose a model of one of these`,
    );
  }
  if (!architectures?.length || architectures.some((name) => name.endsWith("ForCausalLM"))) return known;
  throw unsupported(
    file,
    `field "architectures" is ${architectures.join(", ")}, but only models that write text (ForCausalLM) are supported. Choose another model`,
  );
}

/** Refuses a model rather than compute something else than its makers meant. */
function refuseUnsupported(fields: ConfigJson, modelType: ModelType, file: string): void {
  const refuse = (field: string, why: string) => {
    throw unsupported(file, `field "${field}" asks for ${why}, which is not supported yet. Choose another model`);
  };
  if (fields.hidden_act !== "silu") refuse("hidden_act", `the activation ${fields.hidden_act}`);
  if (fields.mlp_bias) refuse("mlp_bias", "biases in the MLP");
  if (fields.attention_bias && modelType !== "qwen2") refuse("attention_bias", "a bias on the output projection");
  if (fields.use_sliding_window) refuse("use_sliding_window", "sliding-window attention");
  const layerType = fields.layer_types?.find((type) => type !== "full_attention");
  if (layerType !== undefined) refuse("layer_types", `layers of the type ${layerType}`);
  const ropes = [fields, fields.rope_parameters, fields.rope_scaling];
  if (ropes.some((rope) => (rope?.partial_rotary_factor ?? 1) !== 1))
    refuse("partial_rotary_factor", "heads that are rotated in part");
  if (!fields.is_causal) refuse("is_causal", "attention to what comes later (an encoder, not a model that writes)");
  if (fields.quantization_config) {
    const { quant_method } = fields.quantization_config as { quant_method?: unknown };
    const how = typeof quant_method === "string" ? ` (${quant_method})` : "";
    throw new QuantizedModel(
      `${file}, field "quantization_config": the weights are quantized${how}, which is not supported. Take the model that they were made of, ` +
        "or a GGUF file of it.",
    );
  }
}

function checkConfig(config: ModelConfig, file: string): void {
  const { heads, kvHeads, headDim, hiddenSize, vocabSize } = config;
  if (heads % kvHeads !== 0) {
    throw problem(
      file,
      `field "num_key_value_heads" is ${kvHeads}, which does not divide the ${heads} attention heads`,
    );
  }
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    throw problem(
      file,
      `field "head_dim" is ${headDim} (hidden_size ${hiddenSize}, ${heads} heads), but must be an even whole number`,
    );
  }
  const eos = config.eosTokenIds.find((id) => id >= vocabSize);
  if (eos !== undefined)
    throw problem(file, `field "eos_token_id" is ${eos}, but the vocabulary has ${vocabSize} entries`);
}

function unsupported(file: string, text: string): UserError {
  return new UserError(`${file}, ${text}.`);
}

function problem(file: string, text: string): UserError {
  return new UserError(`${file}, ${text}. The file must describe the model beside it.`);
}
