/** @file Another engine's passages, reranked by what judges each of them with its query. */
import type { Passage } from "../../types.js";
import { SearchError, addCounts, checkCount, checkSignal, withMarks } from "../engine.js";
import type { PassageList, SearchEngine, SearchOptions, Pair, PairScorer } from "../engine.js";
import { WrappedEngine, layerOf } from "./wrap.js";
import type { Layer } from "./wrap.js";

/** A passage that waits for its score, together with the query that found it: the two never part. */
interface Candidate extends Pair {
  found: Passage;
}

/**
 * Asks the layer inside for `from` passages per query, whatever `k`, scores each with its own query and returns the best.
 * Scores become the scorer's; equal ones keep the order inside. More than `from` passages cannot be had. Passages that the scorer refuses
 * come last, in the order inside, and the list is partial.
 *
 * Departure from Search-R1's rerank server, which scores every query of a batch against the passages of all of them: here a passage is
 * scored with the query that found it, so a batch makes as many pairs as it found passages.
 */
export function reranked(inner: Layer, scorer: PairScorer, from: number): Layer {
  checkCount(from);
  const name = `reranked ${inner.name}`;
  let pairs = 0;
  return {
    name,
    search: async (queries, k, options) => {
      const lists = await inner.search(queries, from, options);
      const candidates_Q = queries.map((query, index) =>
        lists[index].map((found): Candidate => ({ query, passage: textOf(found), found })),
      );
      const candidates = candidates_Q.flat();
      pairs += candidates.length;
      const scores = await scoresOf(candidates, scorer, name, options);
      return candidates_Q.map((own, index) => {
        const { partial, refused } = lists[index];
        const isWhole = own.every((candidate) => scores.get(candidate) !== undefined);
        return withMarks(inOrder(own, scores).slice(0, k), { partial: isWhole ? partial : true, refused });
      });
    },
    counts: () => addCounts(inner.counts(), scorer.counts?.(), { rerankedPairs: pairs }),
    close: async () => void (await Promise.all([inner.close(), scorer.close()])),
  };
}

/** An engine whose passages are reranked. Closing it closes the engine and the scorer. */
export class RerankEngine extends WrappedEngine {
  constructor(engine: SearchEngine, scorer: PairScorer, { from = 20 }: { from?: number } = {}) {
    super(reranked(layerOf(engine), scorer, from));
  }
}

/** Best first. Without a score of its own, a passage has the lowest of the others'; where none has one, all keep what they came with. */
function inOrder(candidates: readonly Candidate[], scores: ReadonlyMap<Candidate, number | undefined>): PassageList {
  const own = candidates.map((candidate) => scores.get(candidate));
  const known = own.filter((score) => score !== undefined);
  if (known.length === 0) return candidates.map(({ found }) => found);
  const lowest = Math.min(...known);
  const scored = candidates.map(({ found }, index) => ({ ...found, score: own[index] ?? lowest }));
  const [judged, refused] = [true, false].map((isJudged) =>
    scored.filter((_, index) => (own[index] !== undefined) === isJudged),
  );
  return [...judged.sort((a, b) => b.score - a.score), ...refused];
}

async function scoresOf(
  candidates: readonly Candidate[],
  scorer: PairScorer,
  engine: string,
  { signal }: SearchOptions,
): Promise<ReadonlyMap<Candidate, number | undefined>> {
  if (candidates.length === 0) return new Map();
  const pairs = candidates.map(({ query, passage }) => ({ query, passage }));
  const scores: unknown = await scorer.score(pairs, { signal });
  checkSignal(signal);
  if (!Array.isArray(scores) || scores.length !== pairs.length || !scores.every(isScoreOrNone)) {
    const got = Array.isArray(scores) ? `${scores.length} scores` : typeof scores;
    throw new SearchError(
      `The reranker ${scorer.name} answered ${pairs.length} pairs with ${got}, or with some that are no finite numbers.`,
      { engine, isRetryable: false },
    );
  }
  return new Map(candidates.map((candidate, index) => [candidate, (scores as (number | undefined)[])[index]]));
}

function isScoreOrNone(score: unknown): boolean {
  return score === undefined || Number.isFinite(score);
}

/** The text of a pair, as Search-R1's reranker reads it. */
function textOf({ title, text }: Passage): string {
  return title === "" ? text : `(Title: ${title}) ${text}`;
}
