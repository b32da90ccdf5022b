/** @file Value functions and entropy bonuses against numbers recorded from PyTorch by test/golden/critic.py. */
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ValueDatum } from "../../contracts/critic.js";
import type { Datum } from "../../types.js";
import { gradients } from "../autodiff/gradients.js";
import { Graph } from "../graph/graph.js";
import { loadModelFolder } from "../io/model-folder.js";
import { lower } from "../onnx/lower.js";
import { Trainer } from "../optim/forward-backward.js";
import { ValueTrainer } from "../optim/value-trainer.js";
import { Session } from "../runtime/session.js";
import { golden, numbersOf, relativeError } from "./golden.test-support.js";
import { frozenHead } from "./head.test-support.js";
import { createParameterStore, parameter } from "./parameters.js";
import { nextTokens } from "./token-logprobs.js";
import { createValueModel, valueHead } from "./value-model.js";
import type { EngineModel } from "./weights.js";

const options = { threads: 1, provider: "cpu", onRun: () => {}, microBatchTokens: 64 };

const numbers = await numbersOf("critic.safetensors");
const recorded = await numbersOf("llama", "expected.safetensors");
const { config, parameters } = await loadModelFolder(path.join(golden, "llama"));
const get = (name: string): Float32Array => (numbers.get(name) ?? recorded.get(name)) as Float32Array;
const tokens = ["0", "1"].map((index) => Array.from(get(`tokens.${index}`)));

function expectGradients({ trainable }: EngineModel, flat: Float32Array, prefix: string): void {
  const all = createParameterStore(trainable.shapes, flat);
  for (const { name } of trainable.shapes) {
    expect(relativeError(parameter(all, name), get(`${prefix}${name}`)), name).toBeLessThan(1e-4);
  }
  expect(trainable.shapes.length).toBe([...numbers.keys()].filter((name) => name.startsWith(prefix)).length);
}

describe.each(["zero", "random"])("a value function with a head of %s, as in PyTorch", (head) => {
  const model = createValueModel({ config, trainable: parameters });
  if (head === "random") {
    parameter(model.trainable, valueHead.weight).set(get("random.weight"));
    parameter(model.trainable, valueHead.bias).set(get("random.bias"));
  }
  const data_D = tokens.map((tokens_T, index): ValueDatum => ({
    tokens_T,
    mask_T: Uint8Array.from(get(`mask.${index}`)),
    returns_T: get(`returns.${index}`),
    oldValues_T: get(`oldValues.${index}`),
    weights_T: get(`weights.${index}`),
  }));

  it("values of every token", async () => {
    const trainer = new ValueTrainer(model, options);
    const values_D_T = await trainer.values(tokens);
    for (const [index, values_T] of values_D_T.entries()) {
      expect(relativeError(values_T, get(`${head}.values.${index}`))).toBeLessThan(2e-5);
    }
    await trainer.release();
  });

  it.each(["free", "clipped"])("the loss and the gradient of every parameter, %s", async (kind) => {
    const trainer = new ValueTrainer(model, options);
    const { loss } = await trainer.forwardBackward(data_D, { clip: kind === "free" ? 0 : get("clip")[0] });
    expect(relativeError([loss], get(`${head}.${kind}.loss`))).toBeLessThan(2e-5);
    expectGradients(model, trainer.gradients, `${head}.${kind}.gradient.`);
    await trainer.release();
  });

  it("clipping makes a difference", () => {
    expect(relativeError(get(`${head}.clipped.loss`), get(`${head}.free.loss`))).toBeGreaterThan(1e-3);
  });
});

describe("entropy, as in PyTorch", () => {
  it("of rows of logits, with its gradient by them", async () => {
    const [rows, width] = [get("entropy.values").length, get("entropy.logits").length / get("entropy.values").length];
    const g = new Graph();
    const logits = g.input("logits", ["M", width]);
    // Over the identity, hidden states are logits.
    const identity = Float32Array.from({ length: width * width }, (_, at) => Number(at % (width + 1) === 0));
    const head = frozenHead(g, identity, { width, chunkRows: Math.ceil(width / 3) });
    const entropies = nextTokens(g, head, logits, { gradients: true, entropies: true }).entropies();
    const total = g.reduceSum(g.mul(g.input("weights", ["M"]), entropies), [0]);
    g.output("entropies", entropies);
    g.output("gradient", gradients(g, total, [logits])[0]);
    const session = await Session.create(lower(g), options, () => {});
    const results = await session.run({
      logits: { data: get("entropy.logits"), dims: [rows, width] },
      weights: { data: get("entropy.weights"), dims: [rows] },
    });
    await session.release();
    expect(relativeError(results.entropies, get("entropy.values"))).toBeLessThan(1e-5);
    expect(relativeError(results.gradient, get("entropy.gradient"))).toBeLessThan(1e-5);
  });

  it("as a bonus on a loss: the entropies, the loss and the gradient of every parameter", async () => {
    const model = { config, trainable: parameters };
    const trainer = new Trainer(model, options);
    const llamaWeights = (index: number): Float32Array => recorded.get(`weights.${index}`) as Float32Array;
    const data_D = tokens.map((tokens_T, index): Datum => ({
      tokens_T,
      sampledMask_T: new Uint8Array(tokens_T.length).fill(1),
      weights_T: llamaWeights(index),
      entropyWeights_T: get(`bonus.weights.${index}`),
    }));
    const { loss, entropies_D_T } = await trainer.forwardBackward(data_D, { kind: "cross_entropy" });
    expect(relativeError([loss], get("bonus.loss"))).toBeLessThan(2e-5);
    expectGradients(model, trainer.gradients, "bonus.gradient.");
    for (const [index, { weights_T, entropyWeights_T }] of data_D.entries()) {
      const computed = (_: number, t: number): boolean =>
        t > 0 && (weights_T?.[t] !== 0 || entropyWeights_T?.[t] !== 0);
      const expected = get(`bonus.entropies.${index}`).map((value, t) => (computed(value, t) ? value : 0));
      expect(relativeError(entropies_D_T?.[index] ?? [], expected)).toBeLessThan(2e-5);
    }
    await trainer.release();
  });
});
