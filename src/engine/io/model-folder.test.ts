import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { ModelConfig } from "../model/config.js";
import { initParameters, parameter } from "../model/parameters.js";
import { parseModelConfig, toConfigJson } from "./config-json.js";
import { loadModelFolder, saveModelFolder } from "./model-folder.js";
import { writeSafetensors } from "./safetensors.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-model-"));
afterAll(() => rmSync(root, { recursive: true }));
const source = path.join(root, "source");
const folder = path.join(root, "model");

const llama: ModelConfig = {
  modelType: "llama",
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 10,
  rmsNormEps: 1e-5,
  ropeTheta: 10000,
  tieWordEmbeddings: true,
  attentionBias: false,
  qkNorm: false,
  maxPositions: 32,
  eosTokenIds: [9],
};
const variants: ModelConfig[] = [
  llama,
  { ...llama, modelType: "qwen2", attentionBias: true, tieWordEmbeddings: false, eosTokenIds: [8, 9] },
  { ...llama, modelType: "qwen3", qkNorm: true, headDim: 6, ropeTheta: 1e6 },
];
const llama3Json = {
  rope_type: "llama3",
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};
const parameters = initParameters(llama, 1);

/** Changes one file of the folder. */
function edit(name: string, change: (json: Record<string, unknown>) => void): void {
  const file = path.join(folder, name);
  const json = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  change(json);
  writeFileSync(file, JSON.stringify(json));
}

function tensors() {
  return parameters.shapes.map(({ name, shape }) => ({ name, shape, data: parameter(parameters, name) }));
}

const weights = path.join(folder, "model.safetensors");

beforeEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(source, { recursive: true });
  writeFileSync(path.join(source, "tokenizer.json"), JSON.stringify({ model: { vocab: { a: 0, b: 9 } } }));
  writeFileSync(path.join(source, "tokenizer_config.json"), JSON.stringify({ eos_token: "b" }));
  await saveModelFolder(folder, { config: llama, parameters, tokenizerFrom: source });
});

describe("a model folder", () => {
  it.each(variants)("comes back as it was: $modelType", async (config) => {
    const stored = initParameters(config, 3);
    await saveModelFolder(folder, { config, parameters: stored, tokenizerFrom: source });
    const loaded = await loadModelFolder(folder);
    expect(loaded.config).toEqual(config);
    expect(loaded.parameters.flat).toEqual(stored.flat);
    expect(readFileSync(path.join(folder, "tokenizer_config.json"), "utf8")).toContain("eos_token");
    // Saving into the folder that the tokenizer comes from leaves the tokenizer alone.
    await saveModelFolder(folder, { config, parameters: stored, tokenizerFrom: folder });
    expect((await loadModelFolder(folder)).config).toEqual(config);
  });

  it("may be stored in half the space", async () => {
    await saveModelFolder(folder, { config: llama, parameters, tokenizerFrom: source, dtype: "BF16" });
    const { flat } = (await loadModelFolder(folder)).parameters;
    expect(flat.every((x, i) => Math.abs(x - parameters.flat[i]) <= 0.004 * Math.abs(parameters.flat[i]))).toBe(true);
  });

  it.each(["config.json", "model.safetensors", "tokenizer.json"])("is refused without %s", async (name) => {
    rmSync(path.join(folder, name));
    await expect(loadModelFolder(folder)).rejects.toThrow(UserError);
    await expect(loadModelFolder(folder)).rejects.toThrow(name);
  });

  it("is refused when a tensor is missing, unknown, of another shape, not finite or cut off", async () => {
    const all = tensors();
    await writeSafetensors(weights, [...all.slice(0, -1), { ...all[all.length - 1], name: "model.nrom.weight" }]);
    await expect(loadModelFolder(folder)).rejects.toThrow(/lacks the tensor "model.norm.weight".*"model.nrom.weight"/s);
    await writeSafetensors(weights, [...all, { name: "extra", shape: [1], data: Float32Array.of(1) }]);
    await expect(loadModelFolder(folder)).rejects.toThrow(/unexpected tensor "extra"/);
    await writeSafetensors(weights, [{ ...all[0], shape: [8, 10] }, ...all.slice(1)]);
    await expect(loadModelFolder(folder)).rejects.toThrow(/\[8, 10\].*calls for \[10, 8\]/);
    const broken = all[0].data.slice();
    broken[7] = Number.NaN;
    await writeSafetensors(weights, [{ ...all[0], data: broken }, ...all.slice(1)]);
    await expect(loadModelFolder(folder)).rejects.toThrow(/"model.embed_tokens.weight" holds NaN at index 7/);
    const bytes = readFileSync(weights);
    writeFileSync(weights, bytes.subarray(0, bytes.length - 10));
    await expect(loadModelFolder(folder)).rejects.toThrow(/cut off/);
  });

  it("is refused when its files do not fit together, or not the open model", async () => {
    await expect(loadModelFolder(folder, { ...llama, layers: 3 })).rejects.toThrow(/layers is 2, not 3/);
    const ropeScaling = { type: "linear", factor: 2 } as const;
    await expect(loadModelFolder(folder, { ...llama, ropeScaling })).rejects.toThrow(/ropeScaling is undefined, not/);
    edit("tokenizer.json", (json) => (json.added_tokens = [{ id: 10, content: "<x>" }]));
    await expect(loadModelFolder(folder)).rejects.toThrow(/ids up to 10.*vocab_size 10/);
    await expect(loadModelFolder(path.join(root, "nowhere"))).rejects.toThrow(/no model folder/);
    writeFileSync(path.join(folder, "config.json"), "{");
    await expect(loadModelFolder(folder)).rejects.toThrow(/config.json is not valid JSON/);
  });
});

describe("config.json", () => {
  const json = toConfigJson(llama);

  it("understands both ways to write the rotary base, and the defaults of old files", () => {
    const old = { ...json, rope_theta: undefined, head_dim: undefined, num_key_value_heads: undefined };
    expect(parseModelConfig({ ...old, rope_parameters: { rope_theta: 500, rope_type: "default" } }, "f")).toEqual({
      ...llama,
      ropeTheta: 500,
      kvHeads: 2,
    });
    expect(parseModelConfig({ ...json, eos_token_id: null, rope_scaling: null }, "f").eosTokenIds).toEqual([]);
  });

  it.each([
    ["transformers 4", { rope_scaling: llama3Json }],
    ["transformers 4, long ago", { rope_scaling: { ...llama3Json, rope_type: undefined, type: "llama3" } }],
    ["transformers 5", { rope_theta: undefined, rope_parameters: { ...llama3Json, rope_theta: 10000 } }],
  ])("understands Llama 3's scaling as %s writes it, and writes it back", (_, change) => {
    const scaled: ModelConfig = {
      ...llama,
      ropeScaling: {
        type: "llama3",
        factor: 32,
        lowFrequencyFactor: 1,
        highFrequencyFactor: 4,
        originalMaxPositions: 8192,
      },
    };
    expect(parseModelConfig({ ...json, ...change }, "f")).toEqual(scaled);
    expect(parseModelConfig(toConfigJson(scaled), "f")).toEqual(scaled);
    const linear: ModelConfig = { ...llama, ropeScaling: { type: "linear", factor: 2 } };
    expect(parseModelConfig(toConfigJson(linear), "f")).toEqual(linear);
    expect(parseModelConfig({ ...json, use_sliding_window: false, sliding_window: 4096 }, "f")).toEqual(llama);
  });

  it.each([
    [{ model_type: "gpt2" }, /"model_type" is "gpt2", but only llama, qwen2, qwen3 are supported/],
    [{ model_type: "bert", hidden_size: undefined }, /"bert" \(an encoder: .*sleuth index --encoder/],
    [{ model_type: "qwen2_5_vl", hidden_size: undefined }, /"qwen2_5_vl" \(a model of images\)/],
    [{ model_type: "qwen3_moe" }, /a mixture of experts/],
    [{ architectures: ["LlamaForSequenceClassification"] }, /"architectures" is LlamaForSequenceClassification/],
    [{ architectures: ["Qwen2Model"] }, /only models that write text/],
    [{ is_causal: false }, /"is_causal" asks for attention to what comes later/],
    [{ rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } }, /rotated in part/],
    [{ hidden_size: "8" }, /"hidden_size"/],
    [{ num_hidden_layers: 0 }, /"num_hidden_layers"/],
    [{ num_hidden_layers: 10_001 }, /"num_hidden_layers"/],
    [{ num_attention_heads: 3, num_key_value_heads: 2 }, /does not divide the 3/],
    [{ head_dim: 5 }, /"head_dim" is 5/],
    [{ head_dim: null, num_attention_heads: 3 }, /"head_dim" is 2.6/],
    [{ eos_token_id: 10 }, /"eos_token_id" is 10/],
    [{ rope_scaling: { rope_type: "llama3", factor: 8 } }, /"rope_scaling" lacks "low_freq_factor"/],
    [{ rope_parameters: { rope_type: "linear" } }, /"rope_parameters" lacks "factor"/],
    [{ rope_scaling: { rope_type: "linear", factor: -1 } }, /"rope_scaling.factor"/],
    [{ rope_scaling: { ...llama3Json, high_freq_factor: 1 } }, /"high_freq_factor" is 1, but must be above/],
    [{ layer_types: ["full_attention", "sliding_attention"] }, /layers of the type sliding_attention/],
    [{ partial_rotary_factor: 0.5 }, /rotated in part/],
    [{ rope_parameters: { rope_type: "yarn" } }, /rotary positions \(yarn\)/],
    [{ hidden_act: "gelu" }, /activation gelu/],
    [{ mlp_bias: true }, /"mlp_bias"/],
    [{ attention_bias: true }, /"attention_bias"/],
    [{ use_sliding_window: true }, /sliding-window/],
    [{ quantization_config: { quant_method: "gptq", bits: 4 } }, /weights are quantized \(gptq\)/],
  ])("is refused with %o", (change, message) => {
    expect(() => parseModelConfig({ ...json, ...change }, "some/config.json")).toThrow(message);
    expect(() => parseModelConfig({ ...json, ...change }, "some/config.json")).toThrow("some/config.json");
  });
});
