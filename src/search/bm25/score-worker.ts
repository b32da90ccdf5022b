/** @file A worker that searches: the analyzer and the scorer over arrays that all workers share, and the files of the passages. */
import { serveTasks } from "../../workers/serve-tasks.js";
import { DamagedPassage, readPassages } from "../passages.js";
import { Analyzer } from "../text/analyzer.js";
import type { ScoreAnswer, ScoreData, ScoreTask } from "./engine.js";
import { queryTerms } from "./query-terms.js";
import { Bm25Scorer } from "./scorer.js";

await serveTasks(({ snapshot, passages: files }: ScoreData) => {
  const analyzer = new Analyzer(snapshot.analyzer);
  const scorer = new Bm25Scorer(snapshot);

  function textsOf(numbers: readonly number[]): Pick<ScoreAnswer, "texts" | "damage"> {
    if (files === undefined) return {};
    try {
      const passages = readPassages(files, numbers);
      return {
        texts: {
          ids: passages.map(({ id }) => id),
          titles: passages.map(({ title }) => title),
          texts: passages.map(({ text }) => text),
          ...(passages.some(({ url }) => url !== undefined) && { urls: passages.map(({ url }) => url) }),
          ...(passages.some(({ section }) => section !== undefined) && {
            sections: passages.map(({ section }) => section),
          }),
        },
      };
    } catch (error) {
      if (error instanceof DamagedPassage) return { damage: error.message };
      throw error;
    }
  }

  return {
    run({ queries, k }: ScoreTask): ScoreAnswer {
      const lists = queries.map((query) => scorer.top(queryTerms(analyzer, query), k));
      const all = lists.flat();
      const numbers = all.map(({ item }) => item);
      return {
        counts: lists.map((list) => list.length),
        numbers,
        scores: all.map(({ score }) => score),
        ...textsOf(numbers),
      };
    },
  };
});
