/**
 * @file Makes the fixtures of this folder: what Sleuth at commit 580f2e2 left on a disk, for `test/compatibility.test.ts`. They are never made anew:
 * copy this file to test/compatibility/ in a checkout of 580f2e2 and run `node --import tsx test/compatibility/make.mjs`.
 */
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { makeTinyModel } from "../../src/policy/local/tiny-model.test-support.ts";
import { openVerdictCache, cacheKey } from "../../src/rewards/judge/cache.ts";
import { buildIndex } from "../../src/search/bm25/build.ts";
import { addToIndex, deleteFromIndex } from "../../src/search/bm25/change.ts";
import { DenseEngine } from "../../src/search/dense/engine.ts";
import { buildDenseIndex } from "../../src/search/dense/index/build.ts";
import { openDenseIndex } from "../../src/search/dense/index/open.ts";
import { WordEncoder } from "../../src/search/dense/word-encoder.test-support.ts";
import { traceToLine } from "../../src/rollout/trace.ts";
import { openEngine } from "../../src/search/open-engine.ts";
import { readMetrics } from "../../src/train/metrics-file.ts";
import { train } from "../../src/train/train.ts";

const here = path.dirname(fileURLToPath(import.meta.url));
process.chdir(here);
for (const name of await readdir(".")) if (name !== "make.mjs") await rm(name, { recursive: true });

const words = ["lima", "peru", "owl", "night", "capital", "song", "berlin", "peso", "chile", "moon"];
const passages = Array.from({ length: 60 }, (_, row) => ({
  id: `p${row}`,
  title: row % 3 === 0 ? "" : `Title ${words[row % 10]}`,
  text: `${words[(row * 7) % 10]} ${words[(row * 3 + 1) % 10]} number ${row}`,
}));
const questionOf = (index) => ({
  id: `${index}`,
  question: `the country ${index}, which lies between two others`,
  answers: ["here"],
});
const lines = (list) => list.map((value) => JSON.stringify(value)).join("\n") + "\n";
await writeFile("corpus.jsonl", lines(passages.map(({ id, title, text }) => ({ id, contents: `${title}\n${text}` }))));

// A BM25 index of two segments, with passages deleted and replaced; a dense one; and what they answer.
const queries = ["lima capital", "owl at night", "peso"];
await buildIndex({ out: "bm25", passages: [passages.slice(0, 40)], contents: "first" });
await addToIndex({ folder: "bm25", passages: [passages.slice(38)], contents: "second", replace: true, merge: false });
await deleteFromIndex({ folder: "bm25", ids: ["p3", "p44"], merge: false });
await buildDenseIndex({ out: "dense", corpus: ["corpus.jsonl"], encoder: new WordEncoder() });
const { nearest } = await openDenseIndex("dense");
const dense = new DenseEngine(new WordEncoder(), nearest);
const context = { requestsFile: "search-requests.jsonl" };
const bm25 = await openEngine({ engine: "bm25", index: "bm25", cache: "answers" }, context);
const expected = { queries, bm25: await bm25.searchBatch(queries, 5), dense: await dense.searchBatch(queries, 5) };
await Promise.all([bm25.close(), dense.close()]);

// A search server's requests that were counted and paid for; a judge's verdict.
await writeFile("search-requests.jsonl", '\n{"engine":"serper","usd":0.001}\n{"engine":"serper","usd":0.001}');
const verdicts = await openVerdictCache("verdicts");
expected.verdictKey = cacheKey({ model: "judge", prompt: "same?" });
await verdicts.set(expected.verdictKey, 0.75);

// A trace with a search, as run folders hold them.
const searched = { query: "lima", passages: expected.bm25[0], omittedPassages: 1, neutralised: 2, waitedMs: 3 };
const trajectory = {
  questionId: "1",
  segments: [{ role: "prompt", tokens_T: [1, 2] }],
  searches: [searched],
  answer: "Lima",
  finishReason: "answered",
  texts: ["the capital"],
  timing: { policyMs: 1, searchMs: 3 },
};
await writeFile("trace.jsonl", `${traceToLine({ trajectory, question: questionOf(1), reward: 1, step: 1 })}\n`);

// A run of two steps of four with an adapter and a critic, interrupted, and what it came to when it went on.
const model = await makeTinyModel(1, { maxPositions: 128, hiddenSize: 16, intermediateSize: 24, headDim: 4 });
await cp(model.folder, "model", { recursive: true });
await model.remove();
const questions = Array.from({ length: 20 }, (_, index) => questionOf(index));
await writeFile("questions.jsonl", lines(questions));
const reward = (_, { segments, texts }) => {
  const written = texts.filter((__, index) => segments[index].role === "policy").join("");
  return (written.split("e").length - 1) / Math.max(1, written.length);
};
const configOf = (folder) => ({
  model: { folder: "model", adapt: "lora", loraRank: 2 },
  run: { folder, threads: 1 },
  data: { questions: "questions.jsonl", index: "bm25" },
  rollout: { protocol: "atlas", maxTokensPerTurn: 8, maxTokens: 96, maxObservationTokens: 20, maxSearches: 1 },
  algorithm: { name: "ppo", kl: 0.01, klTarget: 0.01, entropy: 0.001, truncatedRatio: 2, groupSize: 4 },
  critic: { learningRate: 0.01 },
  optimizer: { learningRate: 0.01, warmupSteps: 1 },
  train: {
    ...{ steps: 4, questionsPerStep: 2, testSize: 0, checkpointEvery: 2, saveTrajectories: 1 },
    ...{ evalEvery: 2, evalSize: 2, evalModes: "greedy", keepBest: "last" },
  },
});
const controller = new AbortController();
await train(configOf("run"), {
  reward,
  signal: controller.signal,
  onEvent(event) {
    if (event.kind === "progress" && event.phase === "rollout" && event.step === 2) controller.abort(new Error("stop"));
  },
});
await cp("run", "whole", { recursive: true });
expected.run = await train(configOf("whole"), { reward });
expected.metrics = await readMetrics("whole");
await rm("whole", { recursive: true });
await writeFile("expected.json", JSON.stringify(expected, null, 1) + "\n");
process.exit();
