/** @file Values in micro-batches: layouts, activations that are computed again, and what is not computed at all. */
import { describe, expect, it } from "vitest";
import type { ValueDatum } from "../../contracts/critic.js";
import { uniformAt } from "../../random.js";
import { initParameters, parameter } from "../model/parameters.js";
import { tinyConfig } from "../model/tiny-config.test-support.js";
import { valueTrainingGraph, createValueModel, valueHead, valueParts } from "../model/value-model.js";
import { Trainer } from "./forward-backward.js";
import { ValueTrainer } from "./value-trainer.js";

const config = tinyConfig({
  hiddenSize: 16,
  intermediateSize: 24,
  headDim: 4,
  vocabSize: 40,
  tieWordEmbeddings: false,
});
const policy = { config, trainable: initParameters(config, 3) };
const model = createValueModel(policy);
parameter(model.trainable, valueHead.weight).forEach((_, index, head) => (head[index] = 0.3 * Math.sin(index)));

const options = { threads: 1, provider: "cpu", onRun: () => {}, microBatchTokens: 64 };
const loss = { clip: 0.2 };
const sequence = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, t) => Math.floor(uniformAt(seed, t) * config.vocabSize));
const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, index) => Math.abs(value - b[index])));
};

/** Of the tokens behind a prompt. */
function behind(prompt: number[], length: number, seed: number): ValueDatum {
  const tokens_T = [...prompt, ...sequence(length, seed)];
  return {
    tokens_T,
    mask_T: Uint8Array.from(tokens_T, (_, t) => Number(t >= prompt.length && t % 3 !== 0)),
    returns_T: Float32Array.from(tokens_T, (_, t) => Math.cos(t)),
    oldValues_T: Float32Array.from(tokens_T, (_, t) => 0.1 * Math.sin(t)),
    weights_T: Float32Array.from(tokens_T, (_, t) => 0.1 + (t % 5) / 10),
  };
}
const [first, second] = [sequence(50, 3), sequence(61, 4)];
const data_D = [
  ...[5, 9, 12].map((length) => behind(first, length, length)),
  ...[8, 11, 3].map((length) => behind(second, length, length)),
  behind([1, 2], 6, 2),
];

describe("the value trainer", () => {
  it("adds up the same gradient alone, in micro-batches and behind shared prompts, and the same bits when it computes again", async () => {
    let runs = 0;
    const roomy = { ...options, microBatchTokens: 1000, onRun: () => void runs++ };
    const [together, again] = [new ValueTrainer(model, roomy), new ValueTrainer(model, { ...roomy, recompute: true })];
    const whole = await together.forwardBackward(data_D, loss);
    // A session and a run of each layout.
    expect(runs).toBe(4);
    await again.forwardBackward(data_D, loss);
    expect(again.gradients).toEqual(together.gradients);
    const single = new ValueTrainer(model, options);
    let sum = 0;
    for (const [index, datum] of data_D.entries()) {
      const alone = await single.forwardBackward([datum], loss);
      sum += alone.loss;
      expect(difference(whole.values_D_T[index], alone.values_D_T[0])).toBeLessThan(1e-5);
    }
    expect(whole.loss).toBeCloseTo(sum, 4);
    expect(difference(together.gradients, single.gradients)).toBeLessThan(1e-5);
    expect(Math.max(...single.gradients)).toBeGreaterThan(0.01);
    for (const trainer of [together, again, single]) await trainer.release();
  });

  it("computes a group's prompt once for values as well", async () => {
    let runs = 0;
    const trainer = new ValueTrainer(model, { ...options, microBatchTokens: 100, onRun: () => void runs++ });
    const grouped = data_D.slice(0, 3);
    const sequences = grouped.map(({ tokens_T }) => tokens_T);
    const masked = await trainer.values(
      sequences,
      grouped.map(({ mask_T }) => mask_T),
    );
    expect(runs).toBe(2);
    const all = await trainer.values(sequences);
    masked.forEach((row, index) => {
      const expected = all[index].map((value, t) => (grouped[index].mask_T[t] === 1 ? value : 0));
      expect(difference(row, expected)).toBeLessThan(1e-5);
    });
    await trainer.release();
  });

  it("has no LM head: nothing but the embedding knows the vocabulary", () => {
    const wide = valueTrainingGraph(model)
      .live()
      .filter(({ shape }) => shape.includes(config.vocabSize));
    expect(new Set(wide.map(({ op }) => op))).toEqual(new Set(["input", "scatterAddRows"]));
    expect(model.trainable.views.has("lm_head.weight")).toBe(false);
  });

  it("begins as the model beside it, in memory of its own", () => {
    const { trunk, head } = valueParts(createValueModel(policy));
    for (const { name } of trunk.shapes) {
      expect(parameter(trunk, name)).toEqual(parameter(policy.trainable, name));
      expect(parameter(trunk, name).buffer).not.toBe(policy.trainable.flat.buffer);
    }
    expect([...head.flat]).toEqual(Array(config.hiddenSize + 1).fill(0));
  });
});

describe("log-probabilities of wanted tokens", () => {
  it("compute a group's prompt once", async () => {
    let runs = 0;
    const trainer = new Trainer(policy, { ...options, microBatchTokens: 100, onRun: () => void runs++ });
    const grouped = data_D.slice(0, 3);
    await trainer.logprobs(
      grouped.map(({ tokens_T }) => tokens_T),
      { masks_D_T: grouped.map(({ mask_T }) => mask_T) },
    );
    // 50 tokens of the prompt and thrice at most 12: in one run. Alone they fill three.
    expect(runs).toBe(2);
    const lastWanted = grouped.map(({ mask_T }) => mask_T.lastIndexOf(1));
    const given = lastWanted.reduce((sum, length) => sum + length, 0);
    expect(trainer.tokens).toEqual({ computedTokens: given - 2 * 50, sharedTokens: 2 * 50 });
    await trainer.logprobs(grouped.map(({ tokens_T }) => tokens_T));
    expect(runs).toBe(2 + 4);
    await trainer.release();
  });

  it("refuse a mask of another length", async () => {
    const trainer = new Trainer(policy, options);
    await expect(trainer.logprobs([[1, 2, 3]], { masks_D_T: [new Uint8Array(2)] })).rejects.toThrow(/3 tokens .* 2/);
    await trainer.release();
  });
});

it("an entropy bonus is for all data of a call or for none", async () => {
  const trainer = new Trainer(policy, options);
  const datum = { tokens_T: [1, 2], sampledMask_T: Uint8Array.of(0, 1), weights_T: Float32Array.of(0, 1) };
  const mixed = [datum, { ...datum, entropyWeights_T: Float32Array.of(0, 1) }];
  await expect(trainer.forwardBackward(mixed, { kind: "cross_entropy" })).rejects.toThrow(/1 of 2 data/);
  await trainer.release();
});
