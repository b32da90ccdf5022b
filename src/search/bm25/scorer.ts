/**
 * @file BM25 as Lucene computes it (BM25Similarity since Lucene 8; Robertson et al., TREC-3, 1994):
 *
 *   score(q, d) = Σ_t  count(t, q) · ln(1 + (N − n_t + ½) / (n_t + ½)) · f / (f + k1·(1 − b + b·|d| / mean|d|))
 *
 * with N passages, n_t of them holding t, f the frequency of t in d and |d| its length in terms.
 *
 * Departures: lengths are exact where Lucene rounds them to eight bits above 39 terms, and sums are float64 where Lucene
 * adds float32. A term repeated in the query weighs as often as it is repeated, as in Anserini.
 */
import { TopK } from "../top-k.js";
import type { Scored } from "../top-k.js";
import { TfComponents, largestOf } from "./impacts.js";
import { SegmentSearch, Workspace } from "./max-score.js";
import type { QueryTerm } from "./max-score.js";
import { numberOfTerm } from "./snapshot.js";
import type { Bm25Snapshot, IndexSegment } from "./snapshot.js";

/** Passages that are scored at a time, unless told otherwise: their scores (256 KB) stay in the processor's second cache. */
const defaultWindow = 1 << 15;

/** Ranks passages in the caller's thread. Not reentrant: `top` runs to its end without waiting. */
export class Bm25Scorer {
  readonly #snapshot: Bm25Snapshot;
  readonly #searches: SegmentSearch[];

  constructor(snapshot: Bm25Snapshot, windowPassages = defaultWindow) {
    this.#snapshot = snapshot;
    const { k1, b, segments, totalLength, passages } = snapshot;
    const longest = segments.reduce((most, { lengths }) => Math.max(most, largestOf(lengths)), 0);
    const tf = new TfComponents(k1, b, totalLength / passages || 1, longest);
    const largest = segments.reduce((most, { lengths }) => Math.max(most, lengths.length), 0);
    const workspace = new Workspace(Math.min(largest, windowPassages));
    this.#searches = segments.map((segment) => new SegmentSearch(segment, longest, tf, workspace));
  }

  /** The best `k` passages for a query's terms, best first; equal scores in corpus order. */
  top(queryTerms: readonly string[], k: number): Scored[] {
    const { passages } = this.#snapshot;
    if (passages === 0) return [];
    const termsBySegment = this.#weigh(queryTerms);
    const needed = this.#searches.reduce(
      (most, search, index) => Math.max(most, search.reachedBy(k, termsBySegment[index])),
      0,
    );
    const best = new TopK(Math.min(k, passages));
    for (const [index, search] of this.#searches.entries()) search.offerTo(best, termsBySegment[index], needed);
    return best.sorted();
  }

  /** The terms that each segment holds and what they weigh, in the one order in which a score adds them up: it is the same in every segment. */
  #weigh(queryTerms: readonly string[]): QueryTerm[][] {
    const { segments, deletedFrequencies, passages } = this.#snapshot;
    const bySegment = segments.map((): QueryTerm[] => []);
    for (const [term, count] of countTerms(queryTerms)) {
      const encoded = Buffer.from(term);
      const numbers = segments.map((segment) => numberOfTerm(segment.terms, encoded));
      const holding = numbers.reduce(
        (sum, number, index) => sum + postingsOf(segments[index], number),
        -(deletedFrequencies.get(term) ?? 0),
      );
      const weight = count * inverseFrequency(holding, passages);
      for (const [index, number] of numbers.entries()) if (number >= 0) bySegment[index].push({ number, weight });
    }
    return bySegment;
  }
}

/** How many passages of a segment hold a term (-1: none), deleted ones included. */
function postingsOf({ postingOffsets }: IndexSegment, number: number): number {
  return number < 0 ? 0 : postingOffsets[number + 1] - postingOffsets[number];
}

/** Inverse document frequency of a term that `n` of `N` passages hold. Above zero even when all do. */
function inverseFrequency(n: number, N: number): number {
  return Math.log(1 + (N - n + 0.5) / (n + 0.5));
}

/** Terms and their counts in one fixed order, so that a score does not depend on the order of the query's words. */
function countTerms(terms: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}
