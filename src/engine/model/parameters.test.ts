import { describe, expect, it } from "vitest";
import type { ModelConfig } from "./config.js";
import { createParameterStore, elementCount, initParameters, parameter, parameterShapes } from "./parameters.js";
import { tinyConfig } from "./tiny-config.test-support.js";

const llama = tinyConfig();

describe("parameterShapes", () => {
  it("counts SmolLM2-135M's 134,515,008 parameters", () => {
    const smol = { ...llama, hiddenSize: 576, intermediateSize: 1536, layers: 30, heads: 9, kvHeads: 3, headDim: 64 };
    const shapes = parameterShapes({ ...smol, vocabSize: 49152 });
    expect(shapes.reduce((sum, { shape }) => sum + elementCount(shape), 0)).toBe(134_515_008);
  });

  it("adds what the switches ask for", () => {
    const names = (config: ModelConfig) => parameterShapes(config).map(({ name }) => name);
    const plain = names(llama);
    expect(plain).not.toContain("lm_head.weight");
    const rich = names({ ...llama, tieWordEmbeddings: false, attentionBias: true, qkNorm: true });
    expect(rich.filter((name) => !plain.includes(name)).sort()).toEqual(
      [
        ...[0, 1].flatMap((layer) =>
          ["k_norm.weight", "k_proj.bias", "q_norm.weight", "q_proj.bias", "v_proj.bias"].map(
            (name) => `model.layers.${layer}.self_attn.${name}`,
          ),
        ),
        "lm_head.weight",
      ].sort(),
    );
  });
});

describe("initParameters", () => {
  it("gives each kind of parameter its deviation, the same for the same seed", () => {
    const store = initParameters(llama, 7);
    const deviation = (name: string) => {
      const view = parameter(store, name);
      return Math.sqrt(view.reduce((sum, x) => sum + x * x, 0) / view.length);
    };
    expect(deviation("model.embed_tokens.weight")).toBeCloseTo(0.02, 3);
    expect(deviation("model.layers.0.self_attn.q_proj.weight") / (0.7 / 8)).toBeCloseTo(1, 1);
    expect(deviation("model.layers.1.mlp.down_proj.weight") / (0.7 / Math.sqrt(96) / 2)).toBeCloseTo(1, 1);
    expect(parameter(store, "model.norm.weight").every((x) => x === 1)).toBe(true);
    expect(initParameters(llama, 7).flat).toEqual(store.flat);
    expect(initParameters(llama, 8).flat).not.toEqual(store.flat);
  });

  it("shares memory between the flat array and the views", () => {
    const store = initParameters(llama, 1);
    parameter(store, "model.norm.weight")[0] = 42;
    expect(store.flat[store.flat.length - llama.hiddenSize]).toBe(42);
    expect(() => createParameterStore(store.shapes, new Float32Array(3))).toThrow(/internal/);
  });
});
