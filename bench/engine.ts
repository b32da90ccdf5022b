/**
 * @file Speed of the engine on the shape of SmolLM2-135M with random weights, float32: sampling, prefill and training, each beside
 * the raw matrix-product rate of the same run.
 */
import { OnnxBackend } from "../src/engine/generate/onnx-backend.js";
import { initParameters } from "../src/engine/model/parameters.js";
import { Trainer } from "../src/engine/optim/forward-backward.js";
import type { BenchGroup } from "./bench.js";
import { gemmFlops, openGemm } from "./gemm.js";
import { flops, runtime, seconds, smolLm2, tokenRows } from "./smollm2.js";

const context = 160;

async function rawGemm(): Promise<number> {
  const gemm = await openGemm();
  const time = await seconds(() => gemm.run(), 5);
  await gemm.release();
  return gemmFlops / time;
}

export const bench: BenchGroup = async ({ report: emit, note }) => {
  note("raw matrix product");
  const raw = await rawGemm();
  emit({ name: "raw.gemm", value: raw / 1e9, unit: "GFLOP/s", perRaw: 1 });
  const rate = (name: string, tokensPerSecond: number, flopsPerToken: number): void =>
    emit({ name, value: tokensPerSecond, unit: "tok/s", perRaw: (tokensPerSecond * flopsPerToken) / raw });
  const parameters = initParameters(smolLm2, 1);
  const backend = new OnnxBackend({ config: smolLm2, trainable: parameters }, runtime);
  const caches = (batch: number, capacity: number) => {
    const { layers, kvHeads, headDim } = backend.kv;
    const make = () => Array.from({ length: layers }, () => new Float32Array(batch * kvHeads * capacity * headDim));
    return { batch, capacity, cachedLengths_B: new Int32Array(batch).fill(context), keys: make(), values: make() };
  };
  for (const batch of [1, 8, 64]) {
    note(`decode, ${batch} rows`);
    const input = {
      ...caches(batch, 192),
      tokens_B: new Int32Array(batch).fill(5),
      temperatures_B: new Float32Array(batch).fill(1),
    };
    const time = await seconds(() => backend.decode(input), 5);
    rate(`decode.b${batch}`, batch / time, flops.decode);
  }
  note("prefill");
  const prompt = {
    ...caches(8, 64),
    cachedLengths_B: new Int32Array(8),
    length: 128,
    tokens_B_L: new Int32Array(8 * 128).fill(7),
  };
  rate("prefill", (8 * 128) / (await seconds(() => backend.prefill(prompt))), flops.prefill);
  await backend.release();

  note("forward and backward");
  const trainer = new Trainer({ config: smolLm2, trainable: parameters }, { ...runtime, microBatchTokens: 1024 });
  const data = tokenRows(4, 257).map((tokens_T) => ({
    tokens_T,
    sampledMask_T: new Uint8Array(257).fill(1),
    weights_T: new Float32Array(257).fill(1 / 1024),
  }));
  const trainTime = await seconds(() => trainer.forwardBackward(data, { kind: "cross_entropy" }));
  rate("train.full", 1024 / trainTime, flops.train);
  await trainer.release();
};
