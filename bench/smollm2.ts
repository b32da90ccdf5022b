/** @file The model that speed is measured on: the shape of SmolLM2-135M, and what a token costs in it. Loads no runtime: processes that measure another commit read it, too. */
import type { ModelConfig } from "../src/engine/model/config.js";
import { adaptedLayers, allLoraTargets, type LoraConfig } from "../src/engine/model/lora.js";

export const smolLm2: ModelConfig = {
  modelType: "llama",
  hiddenSize: 576,
  intermediateSize: 1536,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  vocabSize: 49152,
  rmsNormEps: 1e-5,
  ropeTheta: 100000,
  tieWordEmbeddings: true,
  attentionBias: false,
  qkNorm: false,
  maxPositions: 2048,
  eosTokenIds: [0],
};

export const runtime = { threads: 2, provider: "cpu", onRun: () => {} };

export const lora: LoraConfig = { rank: 16, alpha: 32, targets: allLoraTargets };

const layers = adaptedLayers(smolLm2, lora);
const perToken = (parameters: number): number => 2 * parameters;
/** One pass of a token through every linear layer, through the LM head, and through the adapter. */
const linear = perToken(layers.reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0));
const head = perToken(smolLm2.hiddenSize * smolLm2.vocabSize);
const adapter = perToken(layers.reduce((sum, { inputs, outputs }) => sum + lora.rank * (inputs + outputs), 0));

/**
 * Floating-point operations of one token, matrix products of the weights alone. Training passes forward, back to the activations and
 * back to the weights; under an adapter the last of the three is the adapter's.
 */
export const flops = {
  prefill: linear,
  decode: linear + head,
  train: 3 * (linear + head),
  trainLora: 2 * (linear + head) + 3 * adapter,
};

/** Median; the upper one of two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** How long `run` takes, in seconds. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

/** Median seconds of a few timed runs after one that warms up. */
export async function seconds(run: () => Promise<unknown>, repeats = 3): Promise<number> {
  await run();
  const times: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) times.push(await timed(run));
  return median(times);
}

/** Token ids without meaning: `count` rows of `length`, which differ from the first token on. */
export function tokenRows(count: number, length: number, salt = 0): number[][] {
  return Array.from({ length: count }, (_, row) =>
    Array.from({ length }, (_, t) => (salt + row * 7919 + t * 104729) % smolLm2.vocabSize),
  );
}
