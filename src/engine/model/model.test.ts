/**
 * @file Whole models: the runtime against the float64 interpreter, sampling graphs against training graphs, batches against
 * single rows. (Against PyTorch: golden.test.ts.)
 */
import { describe, expect, it } from "vitest";
import { uniformAt } from "../../random.js";
import type { Datum } from "../../types.js";
import { OnnxBackend } from "../generate/onnx-backend.js";
import { interpret, tensor, type Tensor } from "../graph/interpret.test-support.js";
import { Trainer } from "../optim/forward-backward.js";
import type { ModelConfig } from "./config.js";
import { initParameters } from "./parameters.js";
import { trainingGraph } from "./training-graph.js";
import { tinyConfig } from "./tiny-config.test-support.js";

const llama = tinyConfig({ hiddenSize: 16, intermediateSize: 24, headDim: 4, vocabSize: 40 });
const qwen: ModelConfig = { ...llama, modelType: "qwen3", attentionBias: true, qkNorm: true, tieWordEmbeddings: false };
const options = { threads: 1, provider: "cpu", onRun: () => {}, microBatchTokens: 64 };

const sequence = (length: number, seed: number): number[] =>
  Array.from({ length }, (_, t) => Math.floor(uniformAt(seed, t) * llama.vocabSize));
const datum = (tokens_T: number[]): Datum => ({
  tokens_T,
  sampledMask_T: Uint8Array.from(tokens_T, (_, t) => (t % 3 === 0 ? 0 : 1)),
  weights_T: Float32Array.from(tokens_T, (_, t) => 0.1 + 0.01 * t),
  advantages_T: Float32Array.from(tokens_T, (_, t) => (t % 2 ? 0.5 : -0.25)),
  logprobs_T: Float32Array.from(tokens_T, (_, t) => -3.5 - 0.1 * (t % 4)),
});
const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, index) => Math.abs(value - b[index])));
};

describe.each([
  ["llama", llama],
  ["qwen3 with biases", qwen],
])("%s", (_, config) => {
  const parameters = initParameters(config, 3);
  const data = [datum(sequence(9, 1)), datum(sequence(13, 2)), datum(sequence(4, 3))];

  it("computes what the interpreter computes, gradients included", async () => {
    const trainer = new Trainer({ config, trainable: parameters }, options);
    const [one] = data;
    const result = await trainer.forwardBackward([one], { kind: "cross_entropy" });
    const positions = [...one.tokens_T.keys()].filter((t) => t > 0 && one.sampledMask_T[t]);
    const end = positions[positions.length - 1];
    const inputs: Record<string, Tensor> = {
      tokens0: tensor([1, end], one.tokens_T.slice(0, end)),
      rows: tensor(
        [positions.length],
        positions.map((t) => t - 1),
      ),
      asked: tensor([positions.length], [...positions.keys()]),
      targets: tensor(
        [positions.length],
        positions.map((t) => one.tokens_T[t]),
      ),
      weights: tensor(
        [positions.length],
        positions.map((t) => one.weights_T?.[t] ?? 0),
      ),
    };
    for (const { name, shape } of parameters.shapes) inputs[name] = tensor(shape, parameters.views.get(name) ?? []);
    const expected = interpret(trainingGraph({ config, trainable: parameters }, "cross_entropy"), inputs);
    expect(result.loss).toBeCloseTo(expected.loss.data[0], 5);
    expect(
      difference(
        positions.map((t) => result.logprobs_D_T[0][t]),
        expected.logprobs.data,
      ),
    ).toBeLessThan(1e-5);
    const gradient = parameters.shapes.flatMap(({ name }) => Array.from(expected[`gradient:${name}`].data));
    expect(difference(trainer.gradients, gradient)).toBeLessThan(1e-5);
    expect(Math.max(...gradient)).toBeGreaterThan(1e-3);
    await trainer.release();
  });

  it("adds up the same gradient whatever the micro-batches", async () => {
    const results: Float32Array[] = [];
    for (const microBatchTokens of [1, 24, 1000]) {
      const trainer = new Trainer({ config, trainable: parameters }, { ...options, microBatchTokens });
      await trainer.forwardBackward(data, { kind: "ppo", clipLow: 0.2, clipHigh: 0.2 });
      results.push(trainer.gradients);
      await trainer.release();
    }
    const single = new Trainer({ config, trainable: parameters }, options);
    for (const one of [...data].reverse())
      await single.forwardBackward([one], { kind: "ppo", clipLow: 0.2, clipHigh: 0.2 });
    for (const gradients of results) expect(difference(gradients, single.gradients)).toBeLessThan(2e-6);
    await single.release();
  });

  it("adds up the same gradient when a group's prompt is computed once", async () => {
    const [first, second] = [sequence(50, 3), sequence(61, 4)];
    const behind = (prompt: number[], length: number, seed: number): Datum => {
      const tokens_T = [...prompt, ...sequence(length, seed)];
      const isOwn = tokens_T.map((_, t) => t >= prompt.length && t % 3 !== 0);
      return {
        tokens_T,
        sampledMask_T: Uint8Array.from(isOwn, Number),
        weights_T: Float32Array.from(isOwn, (own, t) => (own ? 0.1 + (t % 5) / 10 : 0)),
      };
    };
    // Two groups whose prompts differ in length, a prompt that begins like another, and one datum that shares with nobody.
    const grouped = [
      ...[5, 9, 20].map((length) => behind(first, length, length)),
      ...[8, 10, 3].map((length) => behind(second, length, length)),
      behind([...first, 7], 6, 2),
    ];
    // No row is longer than 71 tokens, but the longer prompt with the longest row behind the other is: padding reaches beyond the model.
    const model = { config: { ...config, maxPositions: 71 }, trainable: parameters };
    let runs = 0;
    const roomy = { ...options, microBatchTokens: 1000, onRun: () => void runs++ };
    const again = new Trainer(model, { ...roomy, recompute: true });
    await again.forwardBackward(grouped, { kind: "cross_entropy" });
    const together = new Trainer(model, roomy);
    const sum = await together.forwardBackward(grouped, { kind: "cross_entropy" });
    // Of each: two sessions and a run of each, both groups in the one and the rest in the other. Without shared prompts one run holds all.
    expect(runs).toBe(2 * (2 + 2));
    const single = new Trainer({ config, trainable: parameters }, options);
    let loss = 0;
    for (const [index, one] of grouped.entries()) {
      const result = await single.forwardBackward([one], { kind: "cross_entropy" });
      loss += result.loss;
      expect(difference(sum.logprobs_D_T[index], result.logprobs_D_T[0])).toBeLessThan(1e-5);
    }
    expect(sum.loss).toBeCloseTo(loss, 4);
    expect(difference(together.gradients, single.gradients)).toBeLessThan(1e-5);
    expect(Math.max(...single.gradients)).toBeGreaterThan(0.01);
    // Activations that are computed again are the same to the last bit.
    expect(again.gradients).toEqual(together.gradients);
    await again.release();
    await together.release();
    await single.release();
  });

  it("adds up the same gradient when attempts share turns and passages, whatever each of them is worth", async () => {
    const prompt = sequence(50, 3);
    const turns = [sequence(55, 5), sequence(49, 6)];
    const attempt = (parts: number[][], worth: number): Datum => {
      const tokens_T = [...prompt, ...parts.flat()];
      // The last third of each part was retrieved.
      const isOwn = [
        ...prompt.map(() => 0),
        ...parts.flatMap((part) => part.map((_, t) => Number(3 * t < 2 * part.length))),
      ];
      return {
        tokens_T,
        sampledMask_T: Uint8Array.from(isOwn),
        advantages_T: Float32Array.from(isOwn, (own) => own * worth),
        logprobs_T: Float32Array.from(isOwn, (own, t) => -own * (3.5 + 0.1 * (t % 4))),
        entropyWeights_T: Float32Array.from(isOwn, (own) => 0.01 * own),
      };
    };
    const [first, second] = turns;
    const data = [
      attempt([first, sequence(7, 7)], 1),
      attempt([first, sequence(9, 8)], -0.5),
      // The same again, worth something else; one that ends where others go on, and one that ends before.
      attempt([first, sequence(9, 8)], 0.25),
      attempt([first], -1),
      attempt([first.slice(0, 52)], 0.7),
      attempt([second, sequence(6, 9)], 0.4),
      attempt([second, sequence(8, 9)], -0.3),
      attempt([sequence(20, 10)], 2),
    ];
    const loss = { kind: "ppo", clipLow: 0.2, clipHigh: 0.2 } as const;
    const model = { config: { ...config, maxPositions: 128 }, trainable: parameters };
    const roomy = { ...options, microBatchTokens: 1000 };
    const together = new Trainer(model, roomy);
    const sum = await together.forwardBackward(data, loss);
    const again = new Trainer(model, { ...roomy, recompute: true });
    await again.forwardBackward(data, loss);
    expect(again.gradients).toEqual(together.gradients);
    const single = new Trainer(model, options);
    let total = 0;
    for (const [index, one] of data.entries()) {
      const alone = await single.forwardBackward([one], loss);
      total += alone.loss;
      expect(difference(sum.logprobs_D_T[index], alone.logprobs_D_T[0])).toBeLessThan(1e-5);
      expect(difference(sum.entropies_D_T?.[index] ?? [], alone.entropies_D_T?.[0] ?? [])).toBeLessThan(1e-5);
    }
    expect(sum.loss).toBeCloseTo(total, 4);
    expect(difference(together.gradients, single.gradients)).toBeLessThan(1e-5);
    expect(Math.max(...single.gradients)).toBeGreaterThan(0.01);
    for (const trainer of [together, again, single]) await trainer.release();
  });

  it("samples from the distribution that training sees, with a cache and without", async () => {
    const trainer = new Trainer({ config, trainable: parameters }, options);
    const backend = new OnnxBackend({ config, trainable: parameters }, options);
    const tokens = sequence(20, 9);
    const [logprobs] = await trainer.logprobs([tokens]);
    for (const cut of [1, 7, 18]) {
      const probability = await probabilityAfter(backend, tokens.slice(0, cut), tokens[cut - 1 + 1]);
      expect(Math.abs(Math.log(probability) - logprobs[cut])).toBeLessThan(1e-4);
    }
    await backend.release();
    await trainer.release();
  });
});

/** Prefills all but the last token, in two pieces where possible, decodes the last one and reads the next one's probability. */
async function probabilityAfter(backend: OnnxBackend, prefix: number[], next: number): Promise<number> {
  const { layers, kvHeads, headDim } = backend.kv;
  const capacity = 64;
  const make = () => Array.from({ length: layers }, () => new Float32Array(2 * kvHeads * capacity * headDim));
  const [keys, values] = [make(), make()];
  const known = prefix.slice(0, -1);
  const pieces = [known.slice(0, 5), known.slice(5)].filter((piece) => piece.length > 0);
  let cached = 0;
  for (const piece of pieces) {
    const length = 16;
    const newKv = await backend.prefill({
      batch: 2,
      capacity,
      cachedLengths_B: Int32Array.of(cached, 0),
      keys,
      values,
      length,
      tokens_B_L: Int32Array.from({ length: 2 * length }, (_, index) => (index < piece.length ? piece[index] : 0)),
    });
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < kvHeads; head++) {
        for (let t = 0; t < piece.length; t++) {
          for (const [kind, cache] of [keys, values].entries()) {
            const from = ((((layer * 2 + kind) * 2 + 0) * kvHeads + head) * length + t) * headDim;
            cache[layer].set(newKv.subarray(from, from + headDim), (head * capacity + cached + t) * headDim);
          }
        }
      }
    }
    cached += piece.length;
  }
  const { probabilities_B_V } = await backend.decode({
    batch: 2,
    capacity,
    cachedLengths_B: Int32Array.of(cached, 0),
    keys,
    values,
    tokens_B: Int32Array.of(prefix[prefix.length - 1], 0),
    temperatures_B: Float32Array.of(1, 1),
  });
  return probabilities_B_V[next];
}
