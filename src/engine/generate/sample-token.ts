/** @file Drawing one token from a row of probabilities: greedy, or inverse CDF under top-k and top-p. */
import { UserError } from "../../errors.js";

export interface DrawOptions {
  /** Take the likeliest token; its log-probability is that of the whole row. */
  greedy: boolean;
  /** Keep the k likeliest tokens; 0 keeps everything. */
  topK: number;
  /** Then keep the smallest set of likeliest tokens with at least this share of the mass; 1 keeps everything. */
  topP: number;
}

/**
 * Draws tokens, without allocation: scratch memory and the last draw's log-probability live in the object.
 * Ties go to the smaller id, so a draw is a pure function of the row, the options and the uniform number.
 */
export class TokenSampler {
  /** Log-probability (nats) of the last drawn token under the very distribution it was drawn from. */
  logprob = 0;
  readonly #vocabSize: number;
  /** Ids kept by the filters: a heap with the least likely on top while top-k collects. */
  readonly #kept: Int32Array;

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
    this.#kept = new Int32Array(vocabSize);
  }

  /**
   * @param probabilities rows of softmax probabilities; the row begins at `offset` and has the vocabulary's length
   * @param uniform a number in [0, 1)
   * @throws UserError when the row is no distribution (weights that diverged give NaN)
   */
  draw(probabilities: Float32Array, offset: number, options: DrawOptions, uniform: number): number {
    if (options.greedy) return this.#take(probabilities, offset, this.#largest(probabilities, offset), 1);
    const topK = options.topK > 0 && options.topK < this.#vocabSize ? options.topK : 0;
    if (topK === 0 && options.topP >= 1) return this.#drawFromAll(probabilities, offset, uniform);
    const count =
      topK > 0
        ? this.#keepLikeliest(probabilities, offset, topK)
        : this.#keepPossible(probabilities, offset, options.topP);
    if (options.topP < 1) return this.#drawFromNucleus(probabilities, offset, count, topK > 0, options.topP, uniform);
    return this.#drawFromKept(probabilities, offset, 0, count, uniform);
  }

  /** One pass: the sum of the row is 1 up to rounding; what rounding leaves over goes to the last possible token. */
  #drawFromAll(probabilities: Float32Array, offset: number, uniform: number): number {
    const vocabSize = this.#vocabSize;
    let cumulative = 0;
    let last = -1;
    for (let token = 0; token < vocabSize; token++) {
      const probability = probabilities[offset + token];
      if (probability > 0) {
        cumulative += probability;
        last = token;
        if (cumulative > uniform) break;
      }
    }
    // A row that sums to far less than 1 (NaN entries compare false above) must not pass for a distribution.
    if (cumulative <= uniform && cumulative < 0.999) throw noDistribution();
    return this.#take(probabilities, offset, last, 1);
  }

  /** Moves the likeliest of the kept to the end, one by one, until they hold the mass that is asked for. */
  #drawFromNucleus(
    probabilities: Float32Array,
    offset: number,
    count: number,
    renormalised: boolean,
    topP: number,
    uniform: number,
  ): number {
    const heap = this.#kept;
    // Without top-k the mass of the row is 1 up to rounding, what was left out included.
    const goal = topP * (renormalised ? this.#mass(probabilities, offset, 0, count) : 1);
    for (let node = (count >> 1) - 1; node >= 0; node--) sink(heap, node, count, probabilities, offset, true);
    let left = count;
    let nucleus = 0;
    while (left > 0 && (left === count || nucleus < goal)) {
      const likeliest = heap[0];
      nucleus += probabilities[offset + likeliest];
      heap[0] = heap[--left];
      heap[left] = likeliest;
      sink(heap, 0, left, probabilities, offset, true);
    }
    return this.#drawFromKept(probabilities, offset, left, count, uniform);
  }

  /** Inverse CDF over the kept ids [start, end), renormalised. */
  #drawFromKept(probabilities: Float32Array, offset: number, start: number, end: number, uniform: number): number {
    const mass = this.#mass(probabilities, offset, start, end);
    if (!(mass > 0)) throw noDistribution();
    const goal = uniform * mass;
    let cumulative = 0;
    let chosen = -1;
    for (let index = end - 1; index >= start && !(cumulative > goal); index--) {
      chosen = this.#kept[index];
      cumulative += probabilities[offset + chosen];
    }
    return this.#take(probabilities, offset, chosen, mass);
  }

  #mass(probabilities: Float32Array, offset: number, start: number, end: number): number {
    let mass = 0;
    for (let index = end - 1; index >= start; index--) mass += probabilities[offset + this.#kept[index]];
    return mass;
  }

  #take(probabilities: Float32Array, offset: number, token: number, mass: number): number {
    const probability = token < 0 ? Number.NaN : probabilities[offset + token];
    if (!(probability > 0)) throw noDistribution();
    this.logprob = Math.log(probability / mass);
    return token;
  }

  #largest(probabilities: Float32Array, offset: number): number {
    let best = -1;
    let bestProbability = 0;
    for (let token = 0; token < this.#vocabSize; token++) {
      const probability = probabilities[offset + token];
      if (probability > bestProbability) {
        bestProbability = probability;
        best = token;
      }
    }
    return best;
  }

  /** Tokens below (1 − topP)/V weigh less than 1 − topP together: none is in the nucleus, so few are left to order. */
  #keepPossible(probabilities: Float32Array, offset: number, topP: number): number {
    const least = (0.5 * (1 - topP)) / this.#vocabSize;
    let count = 0;
    for (let token = 0; token < this.#vocabSize; token++) {
      const probability = probabilities[offset + token];
      if (probability > 0 && probability >= least) this.#kept[count++] = token;
    }
    return count;
  }

  /** The k likeliest ids, in a heap whose top is the least likely of them. */
  #keepLikeliest(probabilities: Float32Array, offset: number, k: number): number {
    const heap = this.#kept;
    let count = 0;
    for (let token = 0; token < this.#vocabSize; token++) {
      const probability = probabilities[offset + token];
      if (!(probability > 0)) continue;
      if (count < k) {
        heap[count++] = token;
        if (count === k)
          for (let node = (k >> 1) - 1; node >= 0; node--) sink(heap, node, k, probabilities, offset, false);
      } else if (probability > probabilities[offset + heap[0]]) {
        heap[0] = token;
        sink(heap, 0, k, probabilities, offset, false);
      }
    }
    return count;
  }
}

/** Restores the heap below `node`. On top is the likeliest id or the least likely one; the smaller id counts as likelier. */
function sink(
  heap: Int32Array,
  node: number,
  size: number,
  probabilities: Float32Array,
  offset: number,
  likeliestOnTop: boolean,
): void {
  const moving = heap[node];
  const probability = probabilities[offset + moving];
  for (;;) {
    let child = 2 * node + 1;
    if (child >= size) break;
    let childProbability = probabilities[offset + heap[child]];
    if (child + 1 < size) {
      const other = probabilities[offset + heap[child + 1]];
      const otherIsLikelier = other > childProbability || (other === childProbability && heap[child + 1] < heap[child]);
      if (otherIsLikelier === likeliestOnTop) {
        child++;
        childProbability = other;
      }
    }
    const childIsLikelier =
      childProbability > probability || (childProbability === probability && heap[child] < moving);
    if (childIsLikelier !== likeliestOnTop) break;
    heap[node] = heap[child];
    node = child;
  }
  heap[node] = moving;
}

function noDistribution(): UserError {
  return new UserError(
    "The model's output is not a probability distribution: its weights have most likely diverged (NaN). " +
      "Go back to an earlier checkpoint and lower the learning rate.",
  );
}
