/**
 * @file The k best rows by inner product, exactly: float32 products choose candidates, float64 products order them. A row is a candidate
 * when its float32 score is within rounding of the k-th best, so no row that belongs to the answer can be missed, and neither scores nor
 * order depend on how many queries were multiplied together.
 */
import { TopK } from "../../top-k.js";

/**
 * Bound on twice the error of a float32 inner product of two vectors of about unit length: |error| ≤ E·2⁻²⁴·Σ|aᵢbᵢ| ≤ E·2⁻²⁴·|a||b|
 * (Higham, Accuracy and Stability of Numerical Algorithms, §3.1), with 5 % for vectors that are not quite of unit length.
 */
export function slackOf(dimensions: number): number {
  return 2.1 * (dimensions + 2) * 2 ** -24;
}

/** Collects the candidates of one query, chunk by chunk. */
export class Candidates {
  readonly #k: number;
  readonly #slack: number;
  /** The k best float32 scores so far. */
  readonly #best: TopK;
  #rows: number[] = [];
  #scores: number[] = [];

  constructor(k: number, slack: number) {
    this.#k = k;
    this.#slack = slack;
    this.#best = new TopK(k, -Infinity);
  }

  /** `scores` of the rows from `firstRow` on. */
  add(scores: Float32Array, firstRow: number): void {
    let bound = this.#bound();
    for (let index = 0; index < scores.length; index++) {
      const score = scores[index];
      if (score < bound) continue;
      this.#rows.push(firstRow + index);
      this.#scores.push(score);
      this.#best.offer(firstRow + index, score);
      bound = this.#bound();
      if (this.#rows.length > 4 * this.#k + 4096) this.#prune(bound);
    }
  }

  /** Rows that may belong to the best k. */
  take(): number[] {
    this.#prune(this.#bound());
    return this.#rows;
  }

  #bound(): number {
    return this.#best.threshold - this.#slack;
  }

  #prune(bound: number): void {
    const kept = this.#scores
      .map((score, index) => [score, this.#rows[index]] as const)
      .filter(([score]) => score >= bound);
    this.#scores = kept.map(([score]) => score);
    this.#rows = kept.map(([, row]) => row);
  }
}

/** In float64, in the order of the dimensions. */
export function innerProduct(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += a[index] * b[index];
  return sum;
}
