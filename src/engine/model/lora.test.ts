import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  adaptedLayers,
  adapterShapes,
  initAdapter,
  allLoraTargets,
  loraNames,
  mergeInto,
  type Adapter,
} from "./lora.js";
import { elementCount, initParameters, moduleOf, parameter, parameterShapes } from "./parameters.js";
import { tinyConfig } from "./tiny-config.test-support.js";

const config = tinyConfig();
const lora = { rank: 2, alpha: 6, targets: allLoraTargets };

/** Fills both matrices of every layer. */
function randomAdapter(settings = lora): Adapter {
  const adapter = initAdapter(config, settings, 1);
  for (const { module } of adaptedLayers(config, settings)) {
    const view = parameter(adapter.parameters, loraNames(module).b);
    for (let index = 0; index < view.length; index++) view[index] = Math.sin(index + module.length);
  }
  return adapter;
}

describe("which layers are adapted", () => {
  it("every linear layer of every block, and neither embeddings nor norms", () => {
    const modules = adaptedLayers(config, lora).map(({ module }) => `${module}.weight`);
    const matrices = parameterShapes(config).filter(
      ({ name, shape }) => shape.length === 2 && name.includes(".layers."),
    );
    expect(modules).toEqual(matrices.map(({ name }) => name));
    expect(modules).toHaveLength(allLoraTargets.length * config.layers);
  });

  it("only those that are named", () => {
    const shapes = adapterShapes(config, { ...lora, targets: ["v_proj"] });
    const valueWidth = config.kvHeads * config.headDim;
    expect(shapes.slice(0, 2)).toEqual([
      { name: "model.layers.0.self_attn.v_proj.lora_A.weight", shape: [2, config.hiddenSize] },
      { name: "model.layers.0.self_attn.v_proj.lora_B.weight", shape: [valueWidth, 2] },
    ]);
    expect(shapes).toHaveLength(2 * config.layers);
  });
});

describe("a fresh adapter", () => {
  it("changes no weight", () => {
    const adapter = initAdapter(config, lora, 5);
    const weights = initParameters(config, 1);
    for (const { name } of weights.shapes) {
      const before = parameter(weights, name).slice();
      mergeInto(parameter(weights, name), name, adapter);
      expect(parameter(weights, name), name).toEqual(before);
    }
  });

  it("has A within ±1/√inputs, reaching near both ends, as PEFT's", () => {
    const { parameters } = initAdapter(config, { ...lora, rank: 32 }, 5);
    for (const { module, inputs } of adaptedLayers(config, lora)) {
      const values = Array.from(parameter(parameters, loraNames(module).a), (value) => value * Math.sqrt(inputs));
      expect(Math.max(...values)).toBeLessThanOrEqual(1);
      expect(Math.min(...values)).toBeGreaterThanOrEqual(-1);
      expect(Math.max(...values)).toBeGreaterThan(0.9);
      expect(Math.min(...values)).toBeLessThan(-0.9);
    }
  });

  it("gives a layer the same A whatever else is adapted, and another to every layer and seed", () => {
    const name = loraNames("model.layers.1.self_attn.v_proj").a;
    const all = parameter(initAdapter(config, lora, 5).parameters, name);
    expect(parameter(initAdapter(config, { ...lora, targets: ["v_proj"] }, 5).parameters, name)).toEqual(all);
    expect(parameter(initAdapter(config, lora, 6).parameters, name)).not.toEqual(all);
    const other = loraNames("model.layers.0.self_attn.v_proj").a;
    expect(parameter(initAdapter(config, lora, 5).parameters, other)).not.toEqual(all);
  });
});

describe("merging", () => {
  it("adds (α/r)·B·A, and leaves other weights alone", () => {
    const settings = { ...lora, targets: ["down_proj"] as const };
    const adapter = randomAdapter(settings as unknown as typeof lora);
    const weights = initParameters(config, 1);
    for (const { name, shape } of weights.shapes) {
      const weight = parameter(weights, name);
      const before = weight.slice();
      mergeInto(weight, name, adapter);
      if (!name.endsWith("down_proj.weight")) {
        expect(weight, name).toEqual(before);
        continue;
      }
      const { a, b } = loraNames(moduleOf(name));
      const [viewA, viewB] = [parameter(adapter.parameters, a), parameter(adapter.parameters, b)];
      const [outputs, inputs] = shape;
      for (let output = 0; output < outputs; output++) {
        for (let input = 0; input < inputs; input++) {
          let sum = 0;
          for (let r = 0; r < lora.rank; r++) sum += viewB[output * lora.rank + r] * viewA[r * inputs + input];
          const index = output * inputs + input;
          expect(weight[index]).toBeCloseTo(before[index] + 3 * sum, 6);
        }
      }
    }
  });

  it("depends on alpha and rank only through their ratio, and a row of zeros more is no change", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), (rank, more) => {
        const narrow = randomAdapter({ ...lora, rank, alpha: 2 * rank });
        const wide = initAdapter(config, { ...lora, rank: rank + more, alpha: 2 * (rank + more) }, 9);
        const module = "model.layers.0.mlp.up_proj";
        const { a, b } = loraNames(module);
        parameter(wide.parameters, a).set(parameter(narrow.parameters, a));
        const [from, to] = [parameter(narrow.parameters, b), parameter(wide.parameters, b)];
        for (let index = 0; index < from.length; index++) {
          to[Math.floor(index / rank) * (rank + more) + (index % rank)] = from[index];
        }
        const size = config.intermediateSize * config.hiddenSize;
        const [first, second] = [new Float32Array(size), new Float32Array(size)];
        mergeInto(first, `${module}.weight`, narrow);
        mergeInto(second, `${module}.weight`, wide);
        expect(first.some((value) => value !== 0)).toBe(true);
        expect(second).toEqual(first);
      }),
      { numRuns: 20 },
    );
  });

  it("has a place for every number", () => {
    const { parameters } = initAdapter(config, lora, 1);
    const total = adapterShapes(config, lora).reduce((sum, { shape }) => sum + elementCount(shape), 0);
    expect(parameters.flat.length).toBe(total);
  });
});
