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
import type { Bm25Snapshot, Segment } from "./snapshot.js";
import { numberOfTerm } from "./term-block.js";

export interface ScoredPassage {
  /** Number of the passage in the index, from 0 in corpus order. */
  passage: number;
  score: number;
}

/**
 * Scores queries term at a time. Keeps one number per passage between queries (all zero), so it is not reentrant:
 * `top` runs to its end without waiting.
 */
export class Bm25Scorer {
  private readonly snapshot: Bm25Snapshot;
  private readonly meanLength: number;
  private readonly scores: Float64Array;
  private readonly touched: Uint32Array;

  constructor(snapshot: Bm25Snapshot) {
    this.snapshot = snapshot;
    this.meanLength = snapshot.totalLength / snapshot.passages || 1;
    const largest = snapshot.segments.reduce((most, { lengths }) => Math.max(most, lengths.length), 0);
    this.scores = new Float64Array(largest);
    this.touched = new Uint32Array(largest);
  }

  /** The best `k` passages for a query's terms, best first; equal scores in corpus order. */
  top(queryTerms: readonly string[], k: number): ScoredPassage[] {
    const terms = this.termsOf(queryTerms);
    const best = new TopPassages(Math.min(k, this.snapshot.passages));
    for (const [index, segment] of this.snapshot.segments.entries()) {
      let touched = 0;
      for (const { weight, numbers } of terms)
        if (numbers[index] >= 0) touched = this.addTerm(segment, numbers[index], weight, touched);
      for (let place = 0; place < touched; place++) {
        const passage = this.touched[place];
        if (segment.deleted?.[passage] !== 1) best.offer(segment.firstPassage + passage, this.scores[passage]);
        this.scores[passage] = 0;
      }
    }
    return best.sorted();
  }

  /** What each distinct term weighs and its number in every segment, in the one order in which shares are added. */
  private termsOf(queryTerms: readonly string[]): { weight: number; numbers: number[] }[] {
    const { segments, deletedFrequencies, passages } = this.snapshot;
    return countTerms(queryTerms).map(([term, count]) => {
      const encoded = Buffer.from(term);
      const numbers = segments.map((segment) => numberOfTerm(segment.terms, encoded));
      const holding = numbers.reduce(
        (sum, number, index) => sum + (number < 0 ? 0 : postingsOf(segments[index], number)),
        -(deletedFrequencies.get(term) ?? 0),
      );
      return { weight: count * inverseFrequency(holding, passages), numbers };
    });
  }

  /** Adds one term's share to every passage that holds it; returns how many passages have a score now. */
  private addTerm(segment: Segment, number: number, weight: number, touchedBefore: number): number {
    const { postingOffsets, postingPassages, postingFrequencies, lengths } = segment;
    const { scores, touched, meanLength } = this;
    const { k1, b } = this.snapshot;
    const end = postingOffsets[number + 1];
    let touchedNow = touchedBefore;
    for (let posting = postingOffsets[number]; posting < end; posting++) {
      const passage = postingPassages[posting];
      const frequency = postingFrequencies[posting];
      const before = scores[passage];
      // Every share is above zero, so zero means "not touched yet".
      if (before === 0) touched[touchedNow++] = passage;
      const norm = k1 * (1 - b + (b * lengths[passage]) / meanLength);
      scores[passage] = before + weight * (frequency / (frequency + norm));
    }
    return touchedNow;
  }
}

/** How many passages of a segment hold a term, deleted ones included. */
function postingsOf({ postingOffsets }: Segment, number: number): number {
  return postingOffsets[number + 1] - postingOffsets[number];
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

/** The best `capacity` passages seen so far, as a heap whose root is the worst of them. */
class TopPassages {
  private readonly heap: ScoredPassage[] = [];
  private readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  offer(passage: number, score: number): void {
    const { heap } = this;
    if (heap.length < this.capacity) {
      heap.push({ passage, score });
      this.siftUp(heap.length - 1);
    } else if (heap.length > 0 && isWorse(heap[0], passage, score)) {
      heap[0] = { passage, score };
      this.siftDown();
    }
  }

  sorted(): ScoredPassage[] {
    return this.heap.sort((a, b) => b.score - a.score || a.passage - b.passage);
  }

  private siftUp(from: number): void {
    const { heap } = this;
    const item = heap[from];
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isWorse(item, heap[parent].passage, heap[parent].score)) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = item;
  }

  private siftDown(): void {
    const { heap } = this;
    const item = heap[0];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && isWorse(heap[right], heap[child].passage, heap[child].score)) child = right;
      if (!isWorse(heap[child], item.passage, item.score)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = item;
  }
}

/** Whether `a` ranks behind the other passage. */
function isWorse(a: ScoredPassage, passage: number, score: number): boolean {
  return a.score < score || (a.score === score && a.passage > passage);
}
