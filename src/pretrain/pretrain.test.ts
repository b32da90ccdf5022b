import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer } from "../engine/io/tokenizer.js";
import type { Policy } from "../contracts/policy.js";
import {
  defaultPretrainSettings,
  pretrain,
  pretrainRate,
  type PretrainEvent,
  type PretrainOptions,
} from "./pretrain.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "sleuth-pretrain-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A policy that "learns" a running hash of everything it was trained on: equal hashes mean the same training, in the same order. */
async function hashingPolicy(folder: string, batches: { weight: number; tokens: number }[] = []): Promise<Policy> {
  const tokenizer = await loadTokenizer(folder);
  let state = 1;
  const absent = () => Promise.reject(new Error("not used"));
  return {
    tokenizer,
    capabilities: { engine: "hashing", training: true, reference: false, exactResume: true, entropy: false },
    contextLength: 512,
    sample: (_, { maxTokens }) =>
      Promise.resolve({ tokens_T: Array<number>(maxTokens).fill(0), logprobs_T: [], stopReason: "length" }),
    logprobs: (sequences) => Promise.resolve(sequences.map((sequence) => new Float32Array(sequence.length).fill(-1))),
    forwardBackward: (data_D) => {
      const weight = data_D.reduce((sum, datum) => sum + [...(datum.weights_T ?? [])].reduce((a, b) => a + b, 0), 0);
      batches.push({ weight, tokens: data_D.reduce((sum, datum) => sum + datum.tokens_T.length, 0) });
      for (const { tokens_T } of data_D) for (const token of tokens_T) state = (state * 31 + token) % 1_000_003;
      return Promise.resolve({ loss: 1, logprobs_D_T: [] });
    },
    optimStep: ({ learningRate }) => {
      state = (state * 31 + Math.round(learningRate * 1e9)) % 1_000_003;
      return Promise.resolve({ gradNorm: 1 });
    },
    save: async (target) => {
      await mkdir(target, { recursive: true });
      await writeFile(path.join(target, "hash"), String(state));
    },
    load: async (source) => {
      state = Number(await readFile(path.join(source, "hash"), "utf8"));
    },
    stats: absent,
    close: () => Promise.resolve(),
  };
}

const tiny = {
  shape: { hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 1, kvHeads: 1, headDim: 8, maxPositions: 512 },
  vocabSize: 300,
  tokens: 4_000,
  batchTokens: 500,
  warmupSteps: 2,
};

function run(name: string, more: Partial<PretrainOptions> = {}) {
  return pretrain({ folder: path.join(root, name), makePolicy: hashingPolicy, settings: tiny, saveEvery: 3, ...more });
}

const hashOf = (name: string) => readFile(path.join(root, name, "model", "hash"), "utf8");

describe("pretrain", () => {
  it("trains on its tokens in batches whose weights add up to one, and reports as it goes", async () => {
    const events: PretrainEvent[] = [];
    const batches: { weight: number; tokens: number }[] = [];
    const { state, modelFolder, check } = await run("whole", {
      makePolicy: (folder) => hashingPolicy(folder, batches),
      checkEvery: 4,
      onEvent: (event) => events.push(event),
    });
    expect(modelFolder).toBe(path.join(root, "whole", "model"));
    expect(state.tokens).toBe(batches.reduce((sum, batch) => sum + batch.tokens, 0));
    expect(state.tokens).toBeGreaterThanOrEqual(tiny.tokens);
    for (const batch of batches) expect(batch.weight).toBeCloseTo(1, 4);
    expect(events.filter((event) => event.kind === "step")).toHaveLength(state.step);
    expect(events.filter((event) => event.kind === "check")).toHaveLength(Math.floor(state.step / 4));
    // Every token has probability 1/e here, so a stretch of text has e^-tokens.
    const tokenizer = await loadTokenizer(path.join(root, "whole", "start"));
    expect(check.firstSearch).toBeCloseTo(Math.exp(-tokenizer.encode(" I need").length), 6);
    expect(check.furtherSearch).toBeCloseTo(check.firstSearch, 6);
    expect(check.queryProbability).toBeGreaterThan(0);
    expect(check.queryProbability).toBeLessThan(Math.exp(-2));
    // It only ever writes padding.
    expect([check.query, check.answer]).toEqual([0, 0]);
  });

  it("goes on after an interruption exactly as if there had been none", async () => {
    const stop = new AbortController();
    const first = await run("parts", {
      signal: stop.signal,
      onEvent: (event) => event.kind === "step" && event.state.step === 4 && stop.abort(),
    });
    expect(first.modelFolder).toBeNull();
    expect(first.state.step).toBe(4);
    const events: PretrainEvent[] = [];
    await run("parts", { onEvent: (event) => events.push(event) });
    expect(events[0]).toMatchObject({ kind: "started", resumedAt: { step: 4 } });
    expect(await hashOf("parts")).toBe(await hashOf("whole"));
  });

  it("refuses other settings in the same folder, and a damaged checkpoint", async () => {
    await expect(run("whole", { settings: { ...tiny, seed: 9 } })).rejects.toThrow(/other settings/);
    await writeFile(path.join(root, "whole", "checkpoint", "state.json"), "{");
    await expect(run("whole")).rejects.toThrow(/damaged: state\.json/);
  });

  it("warms up, holds and decays its learning rate", () => {
    const settings = {
      ...defaultPretrainSettings,
      tokens: 1000,
      warmupSteps: 10,
      learningRate: 1,
      constantShare: 0.5,
      finalShare: 0.1,
    };
    const rate = (step: number, tokens: number) => pretrainRate({ step, tokens, sequences: 0 }, settings);
    expect([rate(0, 0), rate(9, 100), rate(50, 500), rate(90, 750), rate(99, 1000)]).toEqual([0.1, 1, 1, 0.55, 0.1]);
  });
});
