/** @file Another engine's passages, ordered anew by what judges each of them with its query. */
import type { Passage } from "../../types.js";
import { checkLists } from "../check-lists.js";
import { addCounts, type Counts } from "../counts.js";
import { SearchError, checkCount, checkSignal } from "../engine.js";
import type { SearchEngine, SearchOptions } from "../engine.js";
import { isPartial, markPartial } from "../partial.js";
import type { Pair, PairScorer } from "../rerank/pair-scorer.js";

/** A passage that waits for its score, together with the query that found it: the two never part. */
interface Candidate extends Pair {
  found: Passage;
}

/**
 * Asks the engine for `from` passages per query, whatever `k`, has each scored with its own query, and answers with the best of them.
 * Scores become the scorer's; equal ones keep the engine's order. More than `from` passages cannot be had.
 *
 * Departure from Search-R1's rerank server, which scores every query of a batch against the passages of all of them: here a passage is
 * scored with the query that found it, so a batch makes as many pairs as it found passages.
 */
export class RerankEngine implements SearchEngine {
  readonly name: string;
  readonly #engine: SearchEngine;
  readonly #scorer: PairScorer;
  readonly #from: number;
  #pairs = 0;

  /** Closing it closes the engine and the scorer. */
  constructor(engine: SearchEngine, scorer: PairScorer, settings: { from?: number } = {}) {
    this.name = `reranked ${engine.name}`;
    this.#engine = engine;
    this.#scorer = scorer;
    this.#from = settings.from ?? 20;
    checkCount(this.#from);
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    const distinct = [...new Set(queries)];
    if (distinct.length === 0) return [];
    const found = await this.#engine.searchBatch(distinct, this.#from, options);
    const lists = checkLists(found, distinct.length, this.#engine.name);
    const candidates_Q = distinct.map((query, index) =>
      lists[index].map((found): Candidate => ({ query, passage: textOf(found), found })),
    );
    const scores = await this.#score(candidates_Q.flat(), options);
    const answers = new Map<string, Passage[]>();
    for (const [index, candidates] of candidates_Q.entries()) {
      const scored = candidates.map((candidate) => ({ ...candidate.found, score: scores.get(candidate) as number }));
      const best = scored.sort((a, b) => b.score - a.score).slice(0, k);
      answers.set(distinct[index], isPartial(lists[index]) ? markPartial(best) : best);
    }
    return queries.map((query) => copyOf(answers.get(query) as Passage[]));
  }

  counts(): Counts {
    return addCounts(this.#engine.counts?.(), this.#scorer.counts?.(), { rerankedPairs: this.#pairs });
  }

  async close(): Promise<void> {
    await Promise.all([this.#engine.close(), this.#scorer.close()]);
  }

  async #score(candidates: readonly Candidate[], options: SearchOptions): Promise<ReadonlyMap<Candidate, number>> {
    if (candidates.length === 0) return new Map();
    this.#pairs += candidates.length;
    const pairs = candidates.map(({ query, passage }) => ({ query, passage }));
    const scores: unknown = await this.#scorer.score(pairs, options);
    checkSignal(options.signal);
    if (!Array.isArray(scores) || scores.length !== pairs.length || !scores.every(Number.isFinite)) {
      const got = Array.isArray(scores) ? `${scores.length} scores` : typeof scores;
      throw new SearchError(
        `The reranker ${this.#scorer.name} answered ${pairs.length} pairs with ${got}, or with some that are no finite numbers.`,
        { engine: this.name, isRetryable: false },
      );
    }
    return new Map(candidates.map((candidate, index) => [candidate, (scores as number[])[index]]));
  }
}

/** The text of a pair, as Search-R1's reranker reads it. */
function textOf({ title, text }: Passage): string {
  return title === "" ? text : `(Title: ${title}) ${text}`;
}

/** A result belongs to its caller, and a query that was asked twice has two. */
function copyOf(list: readonly Passage[]): Passage[] {
  const copy = list.map((passage) => ({ ...passage }));
  return isPartial(list) ? markPartial(copy) : copy;
}
