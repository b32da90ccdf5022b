/** @file The promise behind "same seed, same prefix, same tokens": a row's numbers do not depend on batch, capacity or neighbours. */
import { afterAll, describe, expect, it } from "vitest";
import { Random } from "../../random.js";
import { measureChannelRanges } from "../int8/channel-ranges.js";
import { freezeWeights } from "../io/frozen-weights.js";
import { allLoraTargets, initAdapter } from "../model/lora.js";
import { initParameters, parameter } from "../model/parameters.js";
import { OnnxBackend } from "./onnx-backend.js";
import { tinyConfig } from "../model/tiny-config.test-support.js";
import type { EngineModel } from "../model/weights.js";

/** The MLP is wide enough for the runtime to sum a row in several parts, which depend on the columns that a thread has. */
const config = tinyConfig({ maxPositions: 512, intermediateSize: 1152 });
const cached = 37;

/** Row 0 is always the same; the others are noise of other lengths. */
function rows(batch: number, capacity: number, newTokens: number) {
  const { layers, kvHeads, headDim } = config;
  const cache = (kind: string) =>
    Array.from({ length: layers }, (_, layer) => {
      const data = new Float32Array(batch * kvHeads * capacity * headDim);
      for (let row = 0; row < batch; row++) {
        const random = new Random(kind, layer, row);
        for (let head = 0; head < kvHeads; head++) {
          for (let at = 0; at < cached * headDim; at++)
            data[(row * kvHeads + head) * capacity * headDim + at] = random.normal();
        }
      }
      return data;
    });
  return {
    batch,
    capacity,
    cachedLengths_B: Int32Array.from({ length: batch }, (_, row) => (row === 0 ? cached : (row * 5) % cached)),
    keys: cache("key"),
    values: cache("value"),
    tokens: Int32Array.from({ length: batch * newTokens }, (_, at) => (at * 31 + 7) % config.vocabSize),
  };
}

/** Frozen weights under an adapter that changes them, in float32 or in 8 bits. */
async function adapted(precision: "float32" | "int8"): Promise<EngineModel> {
  const lora = { rank: 20, alpha: 8, targets: allLoraTargets };
  const { parameters: trainable } = initAdapter(config, lora, 3);
  trainable.flat.forEach((value, index, flat) => (flat[index] = value + 0.05 * Math.sin(index)));
  const read = (name: string) => Promise.resolve(parameter(parameters, name));
  const tokenizer = { location: "", tokenizer: {}, settings: {}, generation: {} };
  const source = { location: "a model in memory", config, tokenizer, read, close: () => Promise.resolve() };
  const texts = [Array.from({ length: 40 }, (_, t) => (t * 17) % config.vocabSize)];
  const ranges = await measureChannelRanges({ config, trainable: parameters }, texts, { threads: 1, provider: "cpu" });
  const { remove, ...frozen } = await freezeWeights(source, precision === "int8" ? ranges : undefined);
  removals.push(remove);
  return { config, trainable, base: { lora, ...frozen } };
}

const parameters = initParameters(config, 5);
const removals: (() => void)[] = [];
afterAll(() => removals.forEach((remove) => remove()));

const models: [string, () => EngineModel | Promise<EngineModel>][] = [
  ["all weights trained", () => ({ config, trainable: parameters })],
  ["an adapter over float32", () => adapted("float32")],
  ["an adapter over 8 bits", () => adapted("int8")],
];

describe.each(models)("batch independence of %s, to the last bit", async (_, open) => {
  const model = await open();

  it.each([1, 2])("decode with %i threads", async (threads) => {
    const backend = new OnnxBackend(model, { threads, provider: "cpu", onRun: () => {} });
    const results: Float32Array[] = [];
    for (const [batch, capacity] of [
      [1, 64],
      [2, 64],
      [3, 64],
      [16, 64],
      [65, 64],
      [128, 64],
      [2, 128],
      [33, 192],
      [7, 448],
    ]) {
      const { tokens, ...caches } = rows(batch, capacity, 1);
      const output = await backend.decode({
        ...caches,
        tokens_B: tokens,
        temperatures_B: new Float32Array(batch).fill(1),
      });
      results.push(output.probabilities_B_V.slice(0, config.vocabSize));
    }
    for (const result of results) expect(result).toEqual(results[0]);
    await backend.release();
  });

  it("prefill", async () => {
    const backend = new OnnxBackend(model, { threads: 2, provider: "cpu", onRun: () => {} });
    const results: number[][] = [];
    for (const [batch, capacity] of [
      [1, 64],
      [2, 64],
      [9, 128],
      [32, 64],
    ]) {
      const { tokens, ...caches } = rows(batch, capacity, 8);
      const newKv = await backend.prefill({ ...caches, tokens_B_L: tokens, length: 8 });
      // The keys of the last layer, row 0, first head.
      const from = (config.layers - 1) * 2 * batch * config.kvHeads * 8 * config.headDim;
      results.push(Array.from(newKv.subarray(from, from + 8 * config.headDim)));
    }
    for (const result of results) expect(result).toEqual(results[0]);
    await backend.release();
  });
});
