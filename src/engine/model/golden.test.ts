/** @file Whole models against numbers recorded from Hugging Face transformers and PyTorch by test/golden/models.py. */
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Datum } from "../../types.js";
import { OnnxBackend } from "../generate/onnx-backend.js";
import { Sampler } from "../generate/sampler.js";
import { loadModelFolder } from "../io/model-folder.js";
import { Trainer } from "../optim/forward-backward.js";
import { golden, numbersOf, relativeError } from "./golden.test-support.js";
import { createParameterStore, parameter } from "./parameters.js";

const runtime = { threads: 1, provider: "cpu", onRun: () => {} };

function softmax(logits: Float32Array): number[] {
  const weights = Array.from(logits, (logit) => Math.exp(logit - Math.max(...logits)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

describe.each(["llama", "llama-scaled", "qwen2", "qwen3"])("%s, as in PyTorch", async (family) => {
  const numbers = await numbersOf(family, "expected.safetensors");
  const { config, parameters } = await loadModelFolder(path.join(golden, family));
  const get = (name: string): Float32Array => numbers.get(name) as Float32Array;
  const data = ["0", "1"].map((index): Datum => {
    const tokens_T = Array.from(get(`tokens.${index}`));
    const weights_T = get(`weights.${index}`);
    return { tokens_T, weights_T, sampledMask_T: Uint8Array.from(weights_T, (weight) => (weight !== 0 ? 1 : 0)) };
  });

  it("log-probabilities of every token", async () => {
    const trainer = new Trainer({ config, trainable: parameters }, { ...runtime, microBatchTokens: 64 });
    const logprobs = await trainer.logprobs(data.map(({ tokens_T }) => tokens_T));
    for (const [index, row] of logprobs.entries())
      expect(relativeError(row, get(`logprobs.${index}`))).toBeLessThan(2e-5);
    await trainer.release();
  });

  it("the loss and the gradient of every parameter", async () => {
    const trainer = new Trainer({ config, trainable: parameters }, { ...runtime, microBatchTokens: 64 });
    const { loss } = await trainer.forwardBackward(data, { kind: "cross_entropy" });
    expect(relativeError([loss], get("loss"))).toBeLessThan(2e-5);
    const gradients = createParameterStore(parameters.shapes, trainer.gradients);
    for (const { name } of parameters.shapes) {
      const error = relativeError(parameter(gradients, name), get(`gradient.${name}`));
      expect(error, name).toBeLessThan(1e-4);
    }
    expect(parameters.shapes.length).toBe([...numbers.keys()].filter((name) => name.startsWith("gradient.")).length);
    await trainer.release();
  });

  it("the next token's distribution while sampling, prefilled and decoded", async () => {
    const backend = new OnnxBackend({ config, trainable: parameters }, runtime);
    const seen: number[][] = [];
    const observed = {
      kv: backend.kv,
      vocabSize: backend.vocabSize,
      prefill: backend.prefill.bind(backend),
      decode: async (input: Parameters<OnnxBackend["decode"]>[0]) => {
        const output = await backend.decode(input);
        seen.push(Array.from(output.probabilities_B_V.subarray(0, config.vocabSize)));
        return output;
      },
    };
    const [{ tokens_T }] = data;
    const sampler = new Sampler(observed, { contextLength: 64, decode: () => "", pieceLength: 4 });
    // The first needs no prefill, the second has prefilled pieces, and the third shares them.
    for (const length of [1, 13, 14]) {
      await sampler.sample(tokens_T.slice(0, length), { maxTokens: 1 });
      const logits = get("logits.0").subarray((length - 1) * config.vocabSize, length * config.vocabSize);
      expect(relativeError(seen.at(-1) as number[], softmax(logits)), `prefix of ${length}`).toBeLessThan(2e-5);
    }
    expect(sampler.stats.reusedTokens).toBeGreaterThanOrEqual(12);
    await sampler.close();
    await backend.release();
  });

  it("what it writes greedily, token for token", async () => {
    const backend = new OnnxBackend({ config, trainable: parameters }, runtime);
    const sampler = new Sampler(backend, { contextLength: 64, decode: () => "", pieceLength: 4 });
    const samples = await Promise.all(
      data.map(({ tokens_T }) =>
        sampler.sample(tokens_T.slice(0, 5), { maxTokens: 24, temperature: 0, stop: { tokens: config.eosTokenIds } }),
      ),
    );
    for (const [index, { tokens_T }] of samples.entries()) expect(tokens_T).toEqual(Array.from(get(`greedy.${index}`)));
    await sampler.close();
    await backend.release();
  });
});

it("without its scaling of rotary positions the scaled model is another one", async () => {
  const numbers = await numbersOf("llama-scaled", "expected.safetensors");
  const { config, parameters } = await loadModelFolder(path.join(golden, "llama-scaled"));
  expect(config.ropeScaling?.type).toBe("llama3");
  const trainer = new Trainer(
    { config: { ...config, ropeScaling: undefined }, trainable: parameters },
    { ...runtime, microBatchTokens: 64 },
  );
  const [row] = await trainer.logprobs([Array.from(numbers.get("tokens.0") as Float32Array)]);
  expect(relativeError(row, numbers.get("logprobs.0") as Float32Array)).toBeGreaterThan(1e-3);
  await trainer.release();
});
