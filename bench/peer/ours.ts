/** @file Our side: the engine's parts put to the same work as the peer's verbs in `speed.py`; `bench/self.ts` has an earlier commit do it, too. */
import type * as Backend from "../../src/engine/generate/onnx-backend.js";
import type * as Sampling from "../../src/engine/generate/sampler.js";
import type { EngineModel } from "../../src/engine/model/weights.js";
import type * as Optimizer from "../../src/engine/optim/adamw.js";
import type * as ForwardBackward from "../../src/engine/optim/forward-backward.js";
import type { AdamOptions, Sample } from "../../src/contracts/policy.js";
import type { Datum } from "../../src/types.js";
import { ofCheckout } from "../of-checkout.js";
import { runtime, timed } from "../smollm2.js";

const { OnnxBackend } = await ofCheckout<typeof Backend>("engine/generate/onnx-backend");
const { Sampler } = await ofCheckout<typeof Sampling>("engine/generate/sampler");
const { AdamW } = await ofCheckout<typeof Optimizer>("engine/optim/adamw");
const { Trainer } = await ofCheckout<typeof ForwardBackward>("engine/optim/forward-backward");

/** A learning rate of 0: the work of a step, and weights that stay equal on both sides. */
const still: AdamOptions = {
  learningRate: 0,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  maxGradNorm: 1,
};

/** Sampling with the sampler that policies use. */
export interface OurSampling {
  /**
   * Seconds for `steps` tokens after every prompt, drawn at temperature 1 with their log-probabilities. Keys and values of the prompts
   * are there before the clock starts.
   */
  decode(prompts: readonly number[][], steps: number): Promise<number>;
  /** Seconds to the likeliest next token of every prompt, from nothing. */
  prefill(prompts: readonly number[][]): Promise<{ seconds: number; greedy: number[] }>;
  /** So many tokens after every prompt, drawn at temperature 1, with their log-probabilities. */
  draw(prompts: readonly number[][], tokens: number): Promise<Sample[]>;
  release(): Promise<void>;
}

export function openSampling(model: EngineModel, rows: number): OurSampling {
  const backend = new OnnxBackend(model, runtime);
  const sampler = new Sampler(backend, { contextLength: 256, decode: () => "", maxBatch: rows, slots: rows });
  const sample = (prompts: readonly number[][], maxTokens: number, temperature: number): Promise<Sample[]> =>
    Promise.all(prompts.map((prefix_T, seed) => sampler.sample(prefix_T, { maxTokens, seed, temperature })));
  return {
    async decode(prompts, steps) {
      // The first call leaves the prompts' keys and values in their rows, where the second goes on from the token that it drew.
      const begun = prompts.map((prompt) => prompt.slice(0, -1));
      const drawn = await sample(begun, 1, 1);
      const continued = begun.map((prefix_T, row) => [...prefix_T, ...drawn[row].tokens_T]);
      const before = sampler.stats;
      const seconds = await timed(() => sample(continued, steps, 1));
      const { prefillTokens, decodeSteps } = sampler.stats;
      const [computed, ran] = [prefillTokens - before.prefillTokens, decodeSteps - before.decodeSteps];
      if (computed !== prompts.length || ran !== steps) {
        throw new Error(`internal: not ${steps} steps of decoding alone, but ${ran} and ${computed} tokens of prompts`);
      }
      sampler.reset();
      return seconds;
    },
    async prefill(prompts) {
      let greedy: number[] = [];
      const seconds = await timed(
        async () => (greedy = (await sample(prompts, 1, 0)).flatMap(({ tokens_T }) => tokens_T)),
      );
      sampler.reset();
      return { seconds, greedy };
    },
    async draw(prompts, tokens) {
      const samples = await sample(prompts, tokens, 1);
      sampler.reset();
      return samples;
    },
    async release() {
      await sampler.close();
      await backend.release();
    },
  };
}

/** Training as the local policy does it. */
export interface OurTraining {
  /** Forward and backward of the mean cross-entropy of every token; `step`: one step of AdamW too. */
  train(sequences: readonly number[][], options?: { step: boolean }): Promise<{ seconds: number; loss: number }>;
  release(): Promise<void>;
}

export function openTraining(model: EngineModel): OurTraining {
  const trainer = new Trainer(model, { ...runtime, microBatchTokens: 1024 });
  let optimizer: Optimizer.AdamW | undefined;
  return {
    async train(sequences, { step } = { step: false }) {
      const data = meanCrossEntropy(sequences);
      if (step) optimizer ??= new AdamW(model.trainable.flat.length, runtime);
      let loss = 0;
      const seconds = await timed(async () => {
        loss = (await trainer.forwardBackward(data, { kind: "cross_entropy" })).loss;
        if (step) await optimizer?.step(model.trainable, trainer.gradients, still);
      });
      trainer.clearGradients();
      return { seconds, loss };
    },
    async release() {
      await trainer.release();
      await optimizer?.release();
    },
  };
}

function meanCrossEntropy(sequences: readonly number[][]): Datum[] {
  const predicted = sequences.reduce((sum, tokens_T) => sum + tokens_T.length - 1, 0);
  return sequences.map((tokens_T) => ({
    tokens_T,
    sampledMask_T: new Uint8Array(tokens_T.length).fill(1),
    weights_T: new Float32Array(tokens_T.length).fill(1 / predicted),
  }));
}
