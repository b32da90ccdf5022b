/** @file Models in 8 bits against a simulation of the same form in PyTorch (test/golden/int8.py). Nothing that it rounds lies near halfway between two steps, so float32 decides no rounding. */
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Datum } from "../../types.js";
import { OnnxBackend } from "../generate/onnx-backend.js";
import { Sampler } from "../generate/sampler.js";
import { measureChannelRanges } from "../int8/channel-ranges.js";
import { loadAdapterFolder } from "../io/adapter-folder.js";
import { freezeWeights } from "../io/frozen-weights.js";
import { loadModelFolder } from "../io/model-folder.js";
import { openModel } from "../io/open-model.js";
import { lower } from "../onnx/lower.js";
import { Trainer } from "../optim/forward-backward.js";
import { Session } from "../runtime/session.js";
import { golden, numbersOf, relativeError } from "./golden.test-support.js";
import { allInputs } from "./int8.js";
import { logitsGraph } from "./logits.test-support.js";
import { createParameterStore, parameter } from "./parameters.js";
import { parameterFeeds, type EngineModel } from "./weights.js";

const options = { threads: 1, provider: "cpu", onRun: () => {}, microBatchTokens: 64 };

/** Of the largest number of a tensor. Measured: what float32 leaves is at most 2e-6; other forms are off by 6e-3 at least. */
const bound = 2e-5;
const otherForms = [
  "one scale a tensor",
  "not smoothed",
  "no wide channel",
  "float32 backward",
  "head rounds backward",
];

// Tied tables, biases with a table of its own, norms of queries and keys; adapters of some layers and of all.
describe.each(["llama", "qwen2", "qwen3"])("%s in 8 bits, as in PyTorch", async (family) => {
  const [given, expected] = [
    await numbersOf(family, "expected.safetensors"),
    await numbersOf("int8", `${family}.safetensors`),
  ];
  const get = (name: string): Float32Array => (expected.get(name) ?? given.get(name)) as Float32Array;
  const { config, parameters } = await loadModelFolder(path.join(golden, family));
  const { adapter } = await loadAdapterFolder(path.join(golden, "peft", family), config);
  const ranges = new Map(allInputs(config).map(({ input }) => [input, get(`ranges.${input}`)]));
  const source = await openModel(path.join(golden, family));
  const { remove, ...frozen } = await freezeWeights(source, ranges);
  await source.close();
  afterAll(remove);
  const model: EngineModel = { config, trainable: adapter.parameters, base: { lora: adapter.lora, ...frozen } };
  const tokens_D_T = ["0", "1"].map((index) => Array.from(get(`tokens.${index}`)));

  it("how large the inputs of layers get in some texts", async () => {
    const texts = ["0", "1"].map((index) => Array.from(get(`text.${index}`)));
    const measured = await measureChannelRanges({ config, trainable: parameters }, texts, options);
    expect([...measured.keys()].sort()).toEqual([...ranges.keys()].sort());
    for (const [input, range] of ranges)
      expect(relativeError(measured.get(input) ?? [], range), input).toBeLessThan(1e-5);
  });

  it("logits, and log-probabilities of every token", async () => {
    const session = await Session.create(lower(logitsGraph(model)), options, options.onRun);
    const trainer = new Trainer(model, options);
    const logprobs = await trainer.logprobs(tokens_D_T);
    for (const [index, tokens_T] of tokens_D_T.entries()) {
      const tokens = { data: Int32Array.from(tokens_T), dims: [1, tokens_T.length] };
      const { logits } = await session.run({ ...parameterFeeds(model.trainable), tokens });
      expect(relativeError(logits, get(`logits.${index}`))).toBeLessThan(bound);
      expect(relativeError(logprobs[index], get(`logprobs.${index}`))).toBeLessThan(bound);
    }
    for (const form of otherForms.slice(0, 3))
      expect(relativeError(logprobs[0], get(`${form}/logprobs.0`)), form).toBeGreaterThan(50 * bound);
    await trainer.release();
    await session.release();
  });

  it("the next token's distribution while sampling, prefilled and decoded", async () => {
    const backend = new OnnxBackend(model, options);
    const seen: Float32Array[] = [];
    const observed = {
      ...{ kv: backend.kv, vocabSize: backend.vocabSize, prefill: backend.prefill.bind(backend) },
      decode: async (input: Parameters<OnnxBackend["decode"]>[0]) => {
        const output = await backend.decode(input);
        seen.push(output.probabilities_B_V.slice(0, config.vocabSize));
        return output;
      },
    };
    const sampler = new Sampler(observed, { contextLength: 64, decode: () => "", pieceLength: 4 });
    // The first needs no prefill, the second has prefilled pieces, and the third shares them.
    for (const length of [1, 13, 14]) {
      await sampler.sample(tokens_D_T[0].slice(0, length), { maxTokens: 1 });
      const logits = get("logits.0").subarray((length - 1) * config.vocabSize, length * config.vocabSize);
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const expected = logits.map((logit) => Math.exp(logit) / total);
      expect(relativeError(seen.at(-1) ?? [], expected), `prefix of ${length}`).toBeLessThan(bound);
    }
    await sampler.close();
    await backend.release();
  });

  it("the loss, and the gradient of every matrix of the adapter", async () => {
    const data_D = tokens_D_T.map((tokens_T, index): Datum => {
      const weights_T = get(`weights.${index}`);
      return { tokens_T, weights_T, sampledMask_T: Uint8Array.from(weights_T, (weight) => Number(weight !== 0)) };
    });
    const trainer = new Trainer(model, options);
    const { loss } = await trainer.forwardBackward(data_D, { kind: "cross_entropy" });
    expect(relativeError([loss], get("loss"))).toBeLessThan(bound);
    const gradients = createParameterStore(adapter.parameters.shapes, trainer.gradients);
    for (const { name } of gradients.shapes)
      expect(relativeError(parameter(gradients, name), get(`gradient.${name}`)), name).toBeLessThan(bound);
    for (const form of otherForms) {
      const prefix = `${form}/gradient.`;
      const name = [...expected.keys()].find((key) => key.startsWith(prefix))?.slice(prefix.length) ?? "";
      expect(relativeError(parameter(gradients, name), get(`${prefix}${name}`)), form).toBeGreaterThan(50 * bound);
    }
    await trainer.release();
  });
});
