/**
 * @file A real pretrained model, from its GGUF file to logits, text and token ids, against numbers recorded from Hugging Face
 * transformers by test/golden/smollm2.py.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { Tokenizer } from "../../types.js";
import { OnnxBackend } from "../generate/onnx-backend.js";
import { Sampler } from "../generate/sampler.js";
import { loadModelFolder } from "../io/model-folder.js";
import { SafetensorsFile } from "../io/safetensors.js";
import { smollm2, smollm2IsAbsent, smollm2Reason } from "../io/smollm2.test-support.js";
import { loadTokenizer } from "../io/tokenizer.js";
import { lower } from "../onnx/lower.js";
import { Session } from "../runtime/session.js";
import { logitsGraph } from "./logits.test-support.js";
import { parameterFeeds, type EngineModel } from "./weights.js";

const golden = fileURLToPath(new URL("../../../test/golden/smollm2/", import.meta.url));
const runtime = { threads: 2, provider: "cpu", onRun: () => {} };
const { texts, prompts } = JSON.parse(readFileSync(`${golden}expected.json`, "utf8")) as {
  texts: { text: string; ids: number[] }[];
  prompts: { text: string; ids: number[]; written?: number[] }[];
};

describe.skipIf(smollm2IsAbsent)(`SmolLM2-135M-Instruct, as in transformers${smollm2Reason}`, () => {
  let numbers: Map<string, Float32Array>;
  let model: EngineModel;
  let tokenizer: Tokenizer;
  const get = (name: string): Float32Array => numbers.get(name) as Float32Array;

  beforeAll(async () => {
    const file = await SafetensorsFile.open(`${golden}expected.safetensors`);
    numbers = new Map();
    for (const name of file.tensors.keys()) numbers.set(name, await file.read(name));
    await file.close();
    tokenizer = await loadTokenizer(smollm2);
    const { config, parameters } = await loadModelFolder(smollm2);
    model = { config, trainable: parameters };
  });

  it("token ids of texts and prompts", () => {
    for (const { text, ids } of [...texts, ...prompts]) {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
    }
    for (const { text } of prompts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect(tokenizer.eosIds).toEqual([2, 0]);
    expect(tokenizer.specialTokens.get("<|im_start|>")).toBe(1);
    expect(tokenizer.chatTemplate?.source).toContain("<|im_start|>");
  });

  it("logits of 20 prompts, within 1e-3", async () => {
    const session = await Session.create(lower(logitsGraph(model)), runtime, runtime.onRun);
    const vocabulary = model.config.vocabSize;
    let worst = 0;
    for (const [index, { ids }] of prompts.entries()) {
      const tokens = { data: Int32Array.from(ids), dims: [1, ids.length] };
      const { logits } = await session.run({ ...parameterFeeds(model.trainable), tokens });
      for (const [at, position] of get(`positions.${index}`).entries()) {
        const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary);
        const entries = Array.from(get("entries"), (entry) => row[entry]);
        const best = get(`best.${index}`)[at];
        const actual = [...entries, row[best], normalizer(row)];
        const expected = [
          ...get(`logits.${index}`).subarray(at * entries.length, (at + 1) * entries.length),
          get(`highest.${index}`)[at],
          get(`normalizer.${index}`)[at],
        ];
        worst = Math.max(worst, ...actual.map((value, place) => Math.abs(value - expected[place])));
        expect(
          row.indexOf(
            Math.max(
              ...row.subarray(0, 1),
              row.reduce((a, b) => Math.max(a, b)),
            ),
          ),
        ).toBe(best);
      }
    }
    expect(prompts.length).toBe(20);
    expect(worst).toBeLessThan(1e-3);
    // The tolerance is worth something: a neighbouring position is far away.
    const [first, second] = [0, 1].map((at) => get("logits.0").subarray(at * 64, (at + 1) * 64));
    expect(Math.max(...Array.from(first, (value, place) => Math.abs(value - second[place])))).toBeGreaterThan(0.1);
    await session.release();
  });

  it("what it writes greedily, token for token", async () => {
    const backend = new OnnxBackend(model, runtime);
    const sampler = new Sampler(backend, { contextLength: 256, decode: (ids) => tokenizer.decode(ids) });
    const asked = prompts.filter(({ written }) => written);
    expect(asked.length).toBe(5);
    const samples = await Promise.all(
      asked.map(({ ids }) => sampler.sample(ids, { maxTokens: 16, temperature: 0, stop: { tokens: [2] } })),
    );
    for (const [index, { tokens_T }] of samples.entries()) expect(tokens_T).toEqual(asked[index].written);
    await sampler.close();
    await backend.release();
  });
});

/** The largest number. */
function highest(row: Float32Array): number {
  return row.reduce((most, logit) => Math.max(most, logit), -Infinity);
}

/** ln Σ exp(logit). */
function normalizer(row: Float32Array): number {
  const most = highest(row);
  return most + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
}
