/**
 * @file What an earlier Sleuth left on a disk still opens: `test/compatibility/` was written by commit 580f2e2 (its `make.mjs` says how). These files
 * are never made anew; a change of a format adds a reader for them.
 */
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  DenseEngine,
  addToIndex,
  openDenseIndex,
  openEngine,
  readMetrics,
  resume,
  traceFromLine,
} from "../src/index.js";
import type { Passage, Question, SearchEngine, Trajectory } from "../src/index.js";
import { cacheKey, openVerdictCache } from "../src/rewards/judge/cache.js";
import type { StoredPassage } from "../src/types.js";
import { WordEncoder } from "../src/search/dense/word-encoder.test-support.js";

interface Expected {
  queries: string[];
  bm25: Passage[][];
  dense: Passage[][];
  verdictKey: string;
  metrics: Record<string, number>[];
}

const given = fileURLToPath(new URL("compatibility/", import.meta.url));
const start = process.cwd();
let folder: string;
let expected: Expected;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sleuth-580f2e2-"));
  await cp(given, folder, { recursive: true });
  // The run's configuration names its model, its questions and its index by relative paths.
  process.chdir(folder);
  expected = JSON.parse(await readFile("expected.json", "utf8")) as Expected;
});
afterAll(async () => {
  process.chdir(start);
  await rm(folder, { recursive: true, force: true });
});

const answers = async (engine: SearchEngine): Promise<Passage[][]> => {
  try {
    return await engine.searchBatch(expected.queries, 5);
  } finally {
    await engine.close();
  }
};

it("a BM25 index with deleted and replaced passages answers as it did, and grows", async () => {
  expect(await answers(await openEngine({ engine: "bm25", index: "bm25" }))).toEqual(expected.bm25);
  const grown = path.join(folder, "grown");
  await cp("bm25", grown, { recursive: true });
  async function* third(): AsyncGenerator<StoredPassage[]> {
    yield [{ id: "new", title: "Lima", text: "lima is the capital" }];
  }
  expect(await addToIndex({ folder: grown, passages: third() })).toMatchObject({ passages: 59 });
  const [[first]] = await answers(await openEngine({ engine: "bm25", index: grown }));
  expect(first.id).toBe("new");
});

it("a dense index answers as it did", async () => {
  const { nearest } = await openDenseIndex("dense");
  expect(await answers(new DenseEngine(new WordEncoder(), nearest))).toEqual(expected.dense);
});

it("answers that were recorded are found again, by the same identity", async () => {
  const replay = { engine: "bm25", index: "bm25", cache: "answers", cacheMode: "replay" } as const;
  expect(await answers(await openEngine(replay))).toEqual(expected.bm25);
  const other = openEngine({ ...replay, k1: 2 });
  await expect(answers(await other)).rejects.toThrow(/has no answer/);
});

it("requests that were paid for count", async () => {
  const context = { requestsFile: "search-requests.jsonl", environment: { SERPER_API_KEY: "k" } };
  const engine = await openEngine({ engine: "serper", maxRequests: 2 }, context);
  expect(engine.counts?.()).toMatchObject({ spentUsd: 0.002 });
  await expect(answers(engine)).rejects.toThrow(/2 requests/);
});

it("a judge's verdicts are kept", async () => {
  expect(cacheKey({ model: "judge", prompt: "same?" })).toBe(expected.verdictKey);
  expect(await (await openVerdictCache("verdicts")).get(expected.verdictKey)).toBe(0.75);
});

it("a trace is read, with what is called sanitized today", async () => {
  const { trajectory, reward } = traceFromLine(await readFile("trace.jsonl", "utf8"));
  expect(trajectory.searches[0]).toMatchObject({ query: "lima", sanitized: 2, passages: expected.bm25[0] });
  expect(reward).toBe(1);
});

it("an interrupted run goes on from its checkpoint, with adapter, critic and optimizer, and ends as it would have", async () => {
  const reward = (_: Question, { segments, texts }: Trajectory): number => {
    const written = texts.filter((__, index) => segments[index].role === "policy").join("");
    return (written.split("e").length - 1) / Math.max(1, written.length);
  };
  expect(await resume("run", { reward })).toMatchObject({ status: "finished", steps: 4 });
  const lines = await readMetrics("run");
  expect(lines.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
  expect(lines[1]).toHaveProperty("passages/sanitized", 0);
  for (const [step, line] of expected.metrics.entries()) {
    // Another processor rounds otherwise; another order of random numbers, data or updates would be far off.
    for (const name of ["reward/mean", "loss", "gradNorm", "kl", "critic/loss"])
      if (line[name] !== undefined)
        expect((lines[step] as Record<string, number>)[name], `${name} of step ${step}`).toBeCloseTo(line[name], 3);
  }
  expect(expected.metrics[4]).toHaveProperty("gradNorm");
});
