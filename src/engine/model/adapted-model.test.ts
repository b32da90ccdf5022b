/**
 * @file A frozen model with an adapter beside it, against the same model with the adapter merged into its weights: what is computed, what
 * is sampled, and, by the chain rule, every gradient. (Merging itself against PEFT: io/adapter-folder.test.ts.)
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { uniformAt } from "../../random.js";
import type { Datum } from "../../types.js";
import { OnnxBackend } from "../generate/onnx-backend.js";
import { Sampler } from "../generate/sampler.js";
import { freezeWeights } from "../io/frozen-weights.js";
import { loadModelFolder } from "../io/model-folder.js";
import { openModel } from "../io/open-model.js";
import { Trainer } from "../optim/forward-backward.js";
import { adaptedLayers, initAdapter, allLoraTargets, loraNames, mergeInto, type Adapter } from "./lora.js";
import { createParameterStore, parameter, type ParameterStore } from "./parameters.js";
import type { EngineModel } from "./weights.js";

const golden = fileURLToPath(new URL("../../../test/golden/", import.meta.url));
const options = { threads: 1, provider: "cpu", onRun: () => {}, microBatchTokens: 400 };

/** Largest difference, as a share of the largest expected number. */
function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs));
  expect(scale).toBeGreaterThan(1e-4);
  return Math.max(...Array.from(expected, (value, index) => Math.abs(value - actual[index]))) / scale;
}

describe.each(["llama", "qwen2", "qwen3"])("an adapter over %s", async (family) => {
  const folder = path.join(golden, family);
  const { config, parameters } = await loadModelFolder(folder);
  const source = await openModel(folder);
  const frozen = await freezeWeights(source);
  await source.close();
  afterAll(() => frozen.remove());

  const lora = { rank: 3, alpha: 7, targets: allLoraTargets.filter((target) => target !== "k_proj") };
  const adapter: Adapter = initAdapter(config, lora, 1);
  for (const { module } of adaptedLayers(config, lora)) {
    const b = parameter(adapter.parameters, loraNames(module).b);
    for (let index = 0; index < b.length; index++) b[index] = 0.2 * Math.sin(index + module.length);
  }
  const adapted: EngineModel = {
    config,
    trainable: adapter.parameters,
    base: { lora, tensors: frozen.tensors },
  };
  const mergedStore = createParameterStore(parameters.shapes, parameters.flat.slice());
  for (const { name } of mergedStore.shapes) mergeInto(parameter(mergedStore, name), name, adapter);
  const merged: EngineModel = { config, trainable: mergedStore };

  const words = (length: number, seed: number): number[] =>
    Array.from({ length }, (_, t) => Math.floor(uniformAt(seed, t) * config.vocabSize));
  const prompt = words(52, 1);
  // Three behind one prompt, with other first tokens of loss, and one alone.
  const data_D = [
    [...prompt, ...words(6, 2)],
    [...prompt, ...words(9, 3)],
    [...prompt, ...words(4, 4)],
    words(7, 5),
  ].map((tokens_T, row): Datum => {
    const first = row === 3 ? 1 : prompt.length + (row === 2 ? 1 : 0);
    const own = tokens_T.map((_, t) => t >= first && t % 4 !== 3);
    return {
      tokens_T,
      sampledMask_T: Uint8Array.from(own, Number),
      weights_T: Float32Array.from(own, (isOwn, t) => (isOwn ? 0.1 + (t % 3) / 10 : 0)),
    };
  });

  it("computes what the merged model computes, and not what the base does", async () => {
    const sequences = data_D.map(({ tokens_T }) => tokens_T);
    const logprobs = async (model: EngineModel): Promise<number[]> => {
      const trainer = new Trainer(model, options);
      const rows = await trainer.logprobs(sequences);
      await trainer.release();
      return rows.flatMap((row) => [...row]);
    };
    const expected = await logprobs(merged);
    expect(relativeError(await logprobs(adapted), expected)).toBeLessThan(1e-5);
    expect(relativeError(await logprobs({ config, trainable: parameters }), expected)).toBeGreaterThan(1e-3);
  });

  it.each([false, true])("has the gradients that the chain rule says (computed again: %s)", async (recompute) => {
    const gradientsOf = async (model: EngineModel): Promise<ParameterStore> => {
      const trainer = new Trainer(model, { ...options, recompute });
      await trainer.forwardBackward(data_D, { kind: "cross_entropy" });
      await trainer.release();
      return createParameterStore(model.trainable.shapes, trainer.gradients);
    };
    const whole = await gradientsOf(merged);
    const own = await gradientsOf(adapted);
    for (const { module, outputs, inputs } of adaptedLayers(config, lora)) {
      const { a, b } = loraNames(module);
      const [A, B] = [parameter(adapter.parameters, a), parameter(adapter.parameters, b)];
      const dW = parameter(whole, `${module}.weight`);
      const [dA, dB] = [new Float64Array(A.length), new Float64Array(B.length)];
      // W' = W + s·B·A: dA = s·Bᵀ·dW' and dB = s·dW'·Aᵀ.
      for (let output = 0; output < outputs; output++)
        for (let r = 0; r < lora.rank; r++)
          for (let input = 0; input < inputs; input++) {
            const d = (lora.alpha / lora.rank) * dW[output * inputs + input];
            dA[r * inputs + input] += B[output * lora.rank + r] * d;
            dB[output * lora.rank + r] += d * A[r * inputs + input];
          }
      expect(relativeError(parameter(own, a), dA), a).toBeLessThan(1e-4);
      expect(relativeError(parameter(own, b), dB), b).toBeLessThan(1e-4);
      // A scale that is off by a thousandth is seen.
      const off = dB.map((value) => 1.001 * value);
      expect(relativeError(parameter(own, b), off), b).toBeGreaterThan(1e-4);
    }
  });

  it("samples what the merged model samples, after an update of the adapter too", async () => {
    const written = async (model: EngineModel, from: OnnxBackend = new OnnxBackend(model, options)) => {
      const sampler = new Sampler(from, {
        contextLength: config.maxPositions,
        decode: () => "",
        maxBatch: 2,
        memoryLimitBytes: 2 ** 26,
      });
      const sample = await sampler.sample(prompt.slice(0, 9), { maxTokens: 12, seed: 3, stop: { tokens: [] } });
      await sampler.close();
      return [...sample.tokens_T, ...sample.logprobs_T.map((value) => Number(value.toFixed(4)))];
    };
    const expected = await written(merged);
    const backend = new OnnxBackend(adapted, options);
    expect(await written(adapted, backend)).toEqual(expected);
    const kept = adapter.parameters.flat.slice();
    adapter.parameters.flat.fill(0);
    backend.invalidate();
    expect(await written(adapted, backend)).toEqual(await written({ config, trainable: parameters }));
    adapter.parameters.flat.set(kept);
    backend.invalidate();
    expect(await written(adapted, backend)).toEqual(expected);
    await backend.release();
  });
});
