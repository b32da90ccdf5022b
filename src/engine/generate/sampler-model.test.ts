/** @file The sampler over a real model: tokens and log-probabilities to the last bit, alone and in company. */
import { describe, expect, it } from "vitest";
import type { Sample } from "../../contracts/policy.js";
import { uniformAt } from "../../random.js";
import { initParameters } from "../model/parameters.js";
import { Trainer } from "../optim/forward-backward.js";
import { OnnxBackend } from "./onnx-backend.js";
import { Sampler, type SamplerOptions } from "./sampler.js";
import { tinyConfig } from "../model/tiny-config.test-support.js";

const config = tinyConfig({ hiddenSize: 32, intermediateSize: 48, headDim: 8, vocabSize: 64, maxPositions: 512 });
const parameters = initParameters(config, 5);
for (let index = 0; index < parameters.flat.length; index++) parameters.flat[index] *= 3;
const runtime = { threads: 2, provider: "cpu", onRun: () => {} };

const text = (seed: number, length: number): number[] =>
  Array.from({ length }, (_, i) => Math.floor(config.vocabSize * uniformAt(seed, i)));

async function withSampler<T>(
  use: (sampler: Sampler) => Promise<T>,
  options: Partial<SamplerOptions> = {},
): Promise<T> {
  const backend = new OnnxBackend({ config, trainable: parameters }, runtime);
  const sampler = new Sampler(backend, { contextLength: 512, decode: () => "", ...options });
  try {
    return await use(sampler);
  } finally {
    await sampler.close();
    await backend.release();
  }
}

/** Three turns that begin like others do: a prompt shared by two seeds, a preamble shared by all. */
async function converse(sampler: Sampler, seed: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  let tokens = [...text(999, 70), ...text(seed >> 1, 5 + 11 * (seed >> 1))];
  for (let turn = 0; turn < 3; turn++) {
    for (let wait = 0; wait < (seed * 5) % 7; wait++) await new Promise((resolve) => setImmediate(resolve));
    const sample = await sampler.sample(tokens, { maxTokens: 6 + ((seed * 7 + turn) % 11), seed });
    samples.push(sample);
    tokens = [...tokens, ...sample.tokens_T, ...text(seed * 10 + turn, 3 + ((seed * 13) % 29))];
  }
  return samples;
}

describe("the sampler over a model", () => {
  it("reaches the last position of the context, in the first turn and in later ones", async () => {
    await withSampler(async (sampler) => {
      // What follows a turn is computed in pieces of whole eights: the last one reaches beyond the model's positions.
      for (const first of [480, 490, 500]) {
        const turn = await sampler.sample(text(first, first), { maxTokens: 3, seed: 1 });
        const tokens = [...text(first, first), ...turn.tokens_T];
        const next = [...tokens, ...text(2, 510 - tokens.length)];
        const last = await sampler.sample(next, { maxTokens: 10, seed: 2 });
        expect(last).toMatchObject({ stopReason: "length" });
        expect(last.tokens_T).toHaveLength(2);
      }
    });
  });

  const seeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

  it("gives every conversation the tokens and log-probabilities that it has alone, to the last bit", async () => {
    const together = await withSampler((sampler) => Promise.all(seeds.map((seed) => converse(sampler, seed))));
    const few = await withSampler((sampler) => Promise.all(seeds.map((seed) => converse(sampler, seed))), {
      maxBatch: 3,
      slots: 16,
    });
    expect(few).toEqual(together);
    for (const seed of [0, 3, 9]) {
      expect(await withSampler((sampler) => converse(sampler, seed))).toEqual(together[seed]);
    }
  });

  it("agrees with itself without reuse, and with the trainer, within rounding", async () => {
    const prefix = text(1, 75);
    const [first, second] = await withSampler(async (sampler) => {
      const one = await sampler.sample(prefix, { maxTokens: 20, seed: 4 });
      return [one, await sampler.sample([...prefix, ...one.tokens_T, 7, 8, 9], { maxTokens: 20, seed: 4 })];
    });
    const tokens = [...prefix, ...first.tokens_T, 7, 8, 9];
    const fresh = await withSampler((sampler) => sampler.sample(tokens, { maxTokens: 20, seed: 4 }), { reuse: false });
    expect(fresh.tokens_T).toEqual(second.tokens_T);
    const trainer = new Trainer({ config, trainable: parameters }, { ...runtime, microBatchTokens: 256 });
    const [logprobs] = await trainer.logprobs([[...tokens, ...second.tokens_T]]);
    await trainer.release();
    const trained = logprobs.subarray(tokens.length);
    for (const sampled of [second, fresh]) {
      const error = Math.max(...sampled.logprobs_T.map((logprob, t) => Math.abs(logprob - trained[t])));
      expect(error).toBeLessThan(1e-4);
    }
  });
});
