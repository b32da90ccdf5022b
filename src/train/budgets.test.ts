/** @file Budgets that are `auto`: from the passages of a run and its model's tokenizer, once, and the same ever after. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { byteTokenizer } from "../policy/testing.js";
import { budgetsOf, leastBudgets } from "../rollout/settings.js";
import { PassagesInMemory } from "../search/passages.js";
import type { SearchEngine } from "../search/engine.js";
import type { Question, StoredPassage } from "../types.js";
import { settleBudgets } from "./budgets.js";
import { parseConfig, type ConfigInput } from "./config/config.js";
import { evaluate } from "./evaluate.js";
import { readMetrics } from "./metrics-file.js";
import type { Notice } from "./notices.js";
import type { OpenedSearch } from "./open-search.js";
import { readRunConfig } from "./run-folder.js";
import { tinyConfig, tinyParts, tinyQuestions } from "./tiny-run.test-support.js";
import { train } from "./train.js";

const questions: Question[] = ["Where is the ferry?", "Who owns berth 12?"].map((question, index) => ({
  id: String(index),
  question,
  answers: ["Harbour"],
}));

/** A token is a byte: of a hundred passages, one is far longer than the others. */
const passages = Array.from({ length: 100 }, (_, index): StoredPassage => {
  const text = "x".repeat(index === 42 ? 5000 : 200 + index);
  return { id: String(index), title: "T", text };
});

const never: SearchEngine = {
  name: "never",
  searchBatch: () => Promise.reject(new Error("not to be asked")),
  close: () => Promise.resolve(),
};

function opened(parts: Partial<OpenedSearch>): OpenedSearch {
  return { value: never, isBuiltIn: false, close: () => Promise.resolve(), ...parts };
}

function settle(input: ConfigInput, search: Partial<OpenedSearch>, contextLength = 4096) {
  const config = parseConfig({ ...input, rollout: { protocol: "atlas", maxSearches: 2, ...input.rollout } });
  const tokenizer = byteTokenizer();
  const model = () => Promise.resolve({ tokenizer, contextLength });
  return settleBudgets(config, { search: opened(search), questions, model });
}

describe("budgets that are auto", () => {
  const source = new PassagesInMemory(passages);

  it("have room for all passages but one in a hundred, and for as many searches as are allowed", async () => {
    const one = await settle({}, { passages: source });
    const { maxObservationTokens, maxTokens } = budgetsOf(one.config.rollout);
    // The longest but one has 299 bytes of text.
    expect(maxObservationTokens).toBeGreaterThan(299);
    expect(maxObservationTokens).toBeLessThan(360);
    expect(maxTokens).toBeGreaterThan(2 * maxObservationTokens + 3 * 64);
    expect(one.notice).toMatchObject({ kind: "note" });
    expect(one.notice?.message).toMatch(/^99 % of passages fit in \d+ tokens, measured on 100: rollout.maxObservation/);
    const three = await settle({ search: { topK: 3 } }, { passages: source });
    expect(three.config.rollout.maxObservationTokens).toBeGreaterThan(3 * 299);
    expect(await settle({}, { passages: source })).toEqual(one);
  });

  it("are the least ones over the built-in world, where nothing can be searched, and never less", async () => {
    expect((await settle({}, { isBuiltIn: true })).config.rollout).toMatchObject(leastBudgets);
    expect((await settle({ search: { engine: "none" } }, { passages: source })).config.rollout).toMatchObject(
      leastBudgets,
    );
    const short = new PassagesInMemory([{ id: "1", title: "", text: "short" }]);
    expect((await settle({}, { passages: short })).config.rollout).toMatchObject(leastBudgets);
  });

  it("leave what is set as it is", async () => {
    const rollout = { maxObservationTokens: 77, maxTokens: 700 };
    expect((await settle({ rollout }, { passages: source })).config.rollout).toMatchObject(rollout);
    const mixed = await settle({ rollout: { maxObservationTokens: 77 } }, { passages: source });
    expect(mixed.config.rollout.maxObservationTokens).toBe(77);
    expect(mixed.notice).toMatchObject({
      kind: "warning",
      message: expect.stringMatching(/room for 0 % of them.* Raise rollout\.maxObservationTokens, index/),
    });
  });

  it("stay within the context, with a warning that says how many passages are never read", async () => {
    const long = new PassagesInMemory(passages.map((each, index) => ({ ...each, text: "x".repeat(100 + 20 * index) })));
    const { config, notice } = await settle({}, { passages: long }, 1024);
    expect(config.rollout.maxTokens).toBe(1024);
    expect(config.rollout.maxObservationTokens).toBeLessThan(1024 - 2 * 64);
    expect(notice).toMatchObject({
      kind: "warning",
      message: expect.stringMatching(/but .* leaves room for 3\d % of them .*never read\. Index .*--chunk/),
    });
    const books = passages.map((each, index) => ({ ...each, text: "x".repeat(index < 3 ? 1e6 : 9) }));
    expect((await settle({}, { passages: new PassagesInMemory(books) })).notice?.message).toMatch(
      /^More than 1 % of passages are far longer .*, but .* leaves room for 9\d % of them/,
    );
  });

  it("can be given up while they are measured", async () => {
    const controller = new AbortController();
    const bytes = byteTokenizer();
    const encode = (text: string): number[] => {
      for (const began = performance.now(); performance.now() - began < 6;);
      return bytes.encode(text);
    };
    setTimeout(() => controller.abort(new Error("enough")), 1);
    const settled = settleBudgets(parseConfig({ rollout: { protocol: "atlas" } }), {
      search: opened({ passages: source }),
      questions,
      model: () => Promise.resolve({ tokenizer: { ...bytes, encode }, contextLength: 4096 }),
      signal: controller.signal,
    });
    await expect(settled).rejects.toThrow("enough");
  });

  it("are measured by what the questions find where an engine cannot list its passages", async () => {
    const asked: string[] = [];
    const value: SearchEngine = {
      ...never,
      searchBatch: (queries) => {
        asked.push(...queries);
        return Promise.resolve(queries.map(() => [{ ...passages[0], score: 1 }]));
      },
    };
    const { config } = await settle({}, { value });
    expect(new Set(asked)).toEqual(new Set(questions.map(({ question }) => question)));
    expect(config.rollout.maxObservationTokens).toBeGreaterThan(200);
    const failing = await settle({ rollout: { maxTokens: 700 } }, {});
    expect(failing.config.rollout).toMatchObject({ maxObservationTokens: 160, maxTokens: 700 });
    expect(failing.notice?.message).toMatch(/not be measured \(never: not to be asked\).*Set it if/);
  });
});

describe("a run whose budgets are auto", () => {
  let root: string;
  let config: ConfigInput;
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), "sleuth-budgets-"));
    config = {
      ...tinyConfig(path.join(root, "run"), { steps: 1, testSize: 0 }),
      data: { corpus: path.join(root, "corpus.jsonl") },
      rollout: { maxSearches: 1, maxTokensPerTurn: 8 },
    };
    writeCorpus(300);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function writeCorpus(length: number): void {
    const lines = Array.from({ length: 20 }, (_, id) => ({
      id: String(id),
      title: "q",
      text: "q ".repeat(length / 2),
    }));
    writeFileSync(path.join(root, "corpus.jsonl"), lines.map((line) => JSON.stringify(line)).join("\n"));
  }

  const parts = () => ({ policy: { ...tinyParts().policy, contextLength: 4096 }, questions: tinyQuestions });

  it("keeps them in config.json, for resuming and evaluating, whatever becomes of the corpus", async () => {
    const notices: Notice[] = [];
    await train(config, {
      ...parts(),
      onEvent: (event) => (event.kind === "note" || event.kind === "warning" ? notices.push(event) : undefined),
    });
    const folder = path.join(root, "run");
    const { rollout } = await readRunConfig(folder);
    expect(rollout.maxObservationTokens).toBeGreaterThan(300);
    expect(notices[0].message).toContain(`rollout.maxObservationTokens=${rollout.maxObservationTokens}`);
    const [, first] = await readMetrics(folder);
    expect(first["passages/omittedShare"] ?? 0).toBe(0);

    writeCorpus(900);
    const longer = { ...config, train: { ...config.train, steps: 2 } };
    const goneOn = await train(longer, { ...parts(), onEvent: () => undefined });
    expect(goneOn).toMatchObject({ status: "finished", steps: 2 });
    expect((await readRunConfig(folder)).rollout).toEqual(rollout);

    const told: Notice[] = [];
    const saved = await readRunConfig(folder);
    await evaluate(saved, { ...parts(), limit: 2, onNotice: (notice) => told.push(notice) });
    // The old numbers, over passages that have grown since.
    expect(told.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^100 % of the passages found in the evaluation were left out .*rollout\.maxObservationTokens/,
      ),
    ]);
    told.length = 0;
    await evaluate(config, { ...parts(), limit: 2, onNotice: (notice) => told.push(notice) });
    expect(told[0].message).toMatch(/^99 % of passages fit in 9\d\d tokens/);
  });
});
