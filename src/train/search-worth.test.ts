import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Bm25Engine } from "../search/bm25/engine.js";
import type { SearchEngine } from "../search/engine.js";
import type { Question } from "../types.js";
import { parseConfig, type ConfigInput } from "./config/config.js";
import type { Notice } from "./notices.js";
import { openTask } from "./open-task.js";
import { searchWorth } from "./search-worth.js";

const towns = Array.from({ length: 40 }, (_, place) => `town${place}`);
const passages = towns.map((town, id) => ({ id: String(id), title: town, text: `The mayor of ${town} is M${id}.` }));
const questions: Question[] = towns.map((town, id) => ({
  ...{ id: String(id), question: `mayor of ${town}` },
  // Every fourth answer stands nowhere.
  answers: [id % 4 === 0 ? "nobody" : `M${id}`],
}));

function told(
  asked: readonly Question[],
  { value = Bm25Engine.fromPassages(passages), config = {} }: { value?: SearchEngine; config?: ConfigInput } = {},
): Promise<Notice | undefined> {
  const opened = { value, isBuiltIn: false, close: () => Promise.resolve() };
  return searchWorth(parseConfig(config), opened, asked);
}

describe("what search finds, told before a run", () => {
  afterEach(() => void vi.useRealTimers());

  it("is hit@topK and hit@10 of the questions", async () => {
    expect(await told(questions, { config: { search: { topK: 3 } } })).toEqual({
      kind: "note",
      message: expect.stringMatching(
        /hit@3 0\.750 \[0\.598, 0\.858\], hit@10 0\.750 .* measured on 40 of 40 questions\. hit@3 \(search\.topK\) bounds/,
      ) as string,
    });
  });

  it("is a warning where hardly any answer is found", async () => {
    const wrong = questions.map((question) => ({ ...question, answers: ["nobody"] }));
    expect(await told(wrong)).toMatchObject({
      kind: "warning",
      message: expect.stringContaining("hit@1 0.000") as string,
    });
  });

  it("is a warning where no question finds what it was made from: another index", async () => {
    const made = (id: (place: number) => string): Question[] =>
      questions.map((question, place) => ({ ...question, evidence: [{ id: id(place) }] }));
    expect(await told(made((place) => `old${place}`))).toMatchObject({
      kind: "warning",
      message: expect.stringContaining("Of 40 questions not one found the passage that it was made from") as string,
    });
    expect(await told(made((place) => (place === 7 ? "7" : `old${place}`)))).toMatchObject({ kind: "note" });
  });

  it("is a warning where search fails", async () => {
    const value: SearchEngine = {
      name: "down",
      searchBatch: () => Promise.reject(new Error("nobody answers")),
      close: async () => {},
    };
    expect(await told(questions, { value })).toEqual({
      kind: "warning",
      message: "What search finds could not be measured: nobody answers",
    });
  });

  it("is what there is when time is up", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const bm25 = Bm25Engine.fromPassages(passages);
    let calls = 0;
    const value: SearchEngine = {
      name: "slow",
      searchBatch: (queries, k) => (calls++ === 0 ? bm25.searchBatch(queries, k) : new Promise(() => {})),
      close: async () => {},
    };
    const worth = told(questions, { value });
    await vi.waitFor(() => expect(calls).toBe(2));
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await worth)?.message).toContain("measured on 32 of 40 questions");
  });

  it.each<[why: string, config: ConfigInput]>([
    ["every request may cost", { search: { engine: "brave" } }],
    ["requests are bounded", { search: { engine: "http", url: "http://127.0.0.1:9/retrieve", maxRequests: 9 } }],
    ["answers are recorded", { search: { cache: "answers" } }],
    ["the engine is a control", { search: { engine: "random" } }],
    ["the policy may not search", { rollout: { maxSearches: 0 } }],
  ])("is not asked for where %s", async (_, config) => {
    const value: SearchEngine = {
      name: "untouched",
      searchBatch: () => Promise.reject(new Error("it was asked")),
      close: async () => {},
    };
    expect(await told(questions, { value, config })).toBeUndefined();
  });

  it("says nothing of few questions", async () => expect(await told(questions.slice(0, 7))).toBeUndefined());

  it("reaches the listener when a task is opened", async () => {
    const root = mkdtempSync(path.join(os.tmpdir(), "sleuth-search-worth-"));
    try {
      const corpus = path.join(root, "corpus.jsonl");
      writeFileSync(corpus, passages.map((passage) => `${JSON.stringify(passage)}\n`).join(""));
      const config = parseConfig({
        data: { corpus },
        rollout: { protocol: "search-r1", maxObservationTokens: 200, maxTokens: 600 },
      });
      const notices: Notice[] = [];
      const task = await openTask(config, {}, { questions, onNotice: (notice) => notices.push(notice) });
      await task.close();
      expect(notices.map(({ message }) => message)).toContainEqual(expect.stringContaining("hit@1 0.750"));
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
