/**
 * @file Speed of the engine on the shape of SmolLM2-135M with random weights, float32: sampling, prefill and training, each beside
 * the raw matrix-product rate of the same run.
 */
import { OnnxBackend } from "../src/engine/generate/onnx-backend.js";
import { Graph } from "../src/engine/graph/graph.js";
import type { ModelConfig } from "../src/engine/model/config.js";
import { initParameters } from "../src/engine/model/parameters.js";
import { lower } from "../src/engine/onnx/lower.js";
import { Trainer } from "../src/engine/optim/forward-backward.js";
import { Session } from "../src/engine/runtime/session.js";
import type { Datum } from "../src/types.js";
import type { BenchGroup } from "./bench.js";

const smolLm2: ModelConfig = {
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
/** Parameters that multiply each token: all but the embedding. */
const LINEAR_PARAMETERS = smolLm2.layers * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536);
const CONTEXT = 160;
const runtime = { threads: 2, provider: "cpu", onRun: () => {} };

/** Median seconds of a few timed runs after one that warms up. */
async function seconds(run: () => Promise<unknown>, repeats = 3): Promise<number> {
  await run();
  const times: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = performance.now();
    await run();
    times.push((performance.now() - start) / 1000);
  }
  return times.sort((a, b) => a - b)[Math.floor(repeats / 2)];
}

/** FLOP/s of the product 1024×576×1536 with both sides fed. */
async function rawGemm(): Promise<number> {
  const g = new Graph();
  g.output("y", g.matmul(g.input("a", [1024, 576]), g.input("b", [576, 1536])));
  const session = await Session.create(lower(g), runtime, () => {});
  const feeds = {
    a: { data: new Float32Array(1024 * 576).fill(0.5), dims: [1024, 576] },
    b: { data: new Float32Array(576 * 1536).fill(0.25), dims: [576, 1536] },
  };
  const rounds = 20;
  const time = await seconds(async () => {
    for (let round = 0; round < rounds; round++) await session.run(feeds);
  }, 5);
  await session.release();
  return (rounds * 2 * 1024 * 576 * 1536) / time;
}

function datum(length: number, seed: number): Datum {
  const tokens_T = Array.from({ length }, (_, t) => (seed * 7919 + t * 104729) % smolLm2.vocabSize);
  return {
    tokens_T,
    sampledMask_T: new Uint8Array(length).fill(1),
    weights_T: new Float32Array(length).fill(1 / length),
  };
}

export const bench: BenchGroup = async ({ report: emit, note }) => {
  note("raw matrix product");
  const raw = await rawGemm();
  emit({ name: "raw.gemm", value: raw / 1e9, unit: "GFLOP/s", perRaw: 1 });
  const rate = (name: string, tokensPerSecond: number, flopsPerToken: number): void =>
    emit({ name, value: tokensPerSecond, unit: "tok/s", perRaw: (tokensPerSecond * flopsPerToken) / raw });
  const parameters = initParameters(smolLm2, 1);
  const backend = new OnnxBackend({ config: smolLm2, trainable: parameters }, runtime);
  const headFlops = 2 * smolLm2.hiddenSize * smolLm2.vocabSize;
  const caches = (batch: number, capacity: number) => {
    const { layers, kvHeads, headDim } = backend.kv;
    const make = () => Array.from({ length: layers }, () => new Float32Array(batch * kvHeads * capacity * headDim));
    return { batch, capacity, cachedLengths_B: new Int32Array(batch).fill(CONTEXT), keys: make(), values: make() };
  };
  for (const batch of [1, 8, 64]) {
    note(`decode, ${batch} rows`);
    const input = {
      ...caches(batch, 192),
      tokens_B: new Int32Array(batch).fill(5),
      temperatures_B: new Float32Array(batch).fill(1),
    };
    const time = await seconds(() => backend.decode(input), 5);
    rate(`decode.b${batch}`, batch / time, 2 * LINEAR_PARAMETERS + headFlops);
  }
  note("prefill");
  const prompt = {
    ...caches(8, 64),
    cachedLengths_B: new Int32Array(8),
    length: 128,
    tokens_B_L: new Int32Array(8 * 128).fill(7),
  };
  rate("prefill", (8 * 128) / (await seconds(() => backend.prefill(prompt))), 2 * LINEAR_PARAMETERS);
  await backend.release();

  note("forward and backward");
  const trainer = new Trainer({ config: smolLm2, trainable: parameters }, { ...runtime, microBatchTokens: 1024 });
  const data = [1, 2, 3, 4].map((seed) => datum(257, seed));
  const trainTime = await seconds(() => trainer.forwardBackward(data, { kind: "cross_entropy" }));
  rate("train.full", 1024 / trainTime, 6 * LINEAR_PARAMETERS + 3 * headFlops);
  await trainer.release();
};
