/** @file A worker that scores queries: the analyzer and the scorer over arrays that all workers share. */
import { Analyzer } from "../text/analyzer.js";
import { serveTasks } from "../../workers/serve-tasks.js";
import { Bm25Scorer } from "./scorer.js";
import type { ScoreAnswer, ScoreTask } from "./engine.js";
import type { Bm25Snapshot } from "./snapshot.js";

await serveTasks((snapshot: Bm25Snapshot) => {
  const analyzer = new Analyzer(snapshot.analyzer);
  const scorer = new Bm25Scorer(snapshot);
  return {
    run({ queries, k }: ScoreTask): ScoreAnswer {
      const lists = queries.map((query) => scorer.top(analyzer.terms(query), k));
      const all = lists.flat();
      return {
        counts: Uint32Array.from(lists, (list) => list.length),
        passages: Uint32Array.from(all, ({ item }) => item),
        scores: Float64Array.from(all, ({ score }) => score),
      };
    },
    transfer: ({ counts, passages, scores }: ScoreAnswer) =>
      [counts, passages, scores].map(({ buffer }) => buffer as ArrayBuffer),
  };
});
