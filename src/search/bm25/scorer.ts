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
import type { Bm25Data } from "./data.js";

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
  private readonly data: Bm25Data;
  /** k1·(1 − b + b·|d| / mean|d|) of each passage. */
  private readonly norms: Float64Array;
  private readonly scores: Float64Array;
  private readonly touched: Uint32Array;

  constructor(data: Bm25Data, k1: number, b: number) {
    this.data = data;
    const count = data.lengths.length;
    const meanLength = data.totalLength / count || 1;
    this.norms = new Float64Array(count);
    for (let passage = 0; passage < count; passage++)
      this.norms[passage] = k1 * (1 - b + (b * data.lengths[passage]) / meanLength);
    this.scores = new Float64Array(count);
    this.touched = new Uint32Array(count);
  }

  /** The best `k` passages for a query's terms, best first; equal scores in corpus order. */
  top(queryTerms: readonly string[], k: number): ScoredPassage[] {
    let touched = 0;
    for (const [term, count] of countTerms(queryTerms)) touched = this.addTerm(term, count, touched);
    const best = new TopPassages(Math.min(k, touched));
    for (let index = 0; index < touched; index++) {
      const passage = this.touched[index];
      best.offer(passage, this.scores[passage]);
      this.scores[passage] = 0;
    }
    return best.sorted();
  }

  /** Adds one term's share to every passage that holds it; returns how many passages have a score now. */
  private addTerm(term: string, count: number, touchedBefore: number): number {
    const { postingOffsets, postingPassages, postingFrequencies } = this.data;
    const { norms, scores, touched } = this;
    const number = this.data.termNumber(term);
    if (number < 0) return touchedBefore;
    const start = postingOffsets[number];
    const end = postingOffsets[number + 1];
    const weight = count * inverseFrequency(end - start, scores.length);
    let touchedNow = touchedBefore;
    for (let posting = start; posting < end; posting++) {
      const passage = postingPassages[posting];
      const frequency = postingFrequencies[posting];
      const before = scores[passage];
      // Every share is above zero, so zero means "not touched yet".
      if (before === 0) touched[touchedNow++] = passage;
      scores[passage] = before + weight * (frequency / (frequency + norms[passage]));
    }
    return touchedNow;
  }
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
