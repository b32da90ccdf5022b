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
    let count = topK > 0 ? this.#keepLikeliest(probabilities, offset, topK) : this.#keepPositive(probabilities, offset);
    if (topK === 0) count = this.#dropNegligible(probabilities, offset, count, options.topP);
    const kept = this.#kept
      .subarray(0, count)
      .sort((a, b) => probabilities[offset + b] - probabilities[offset + a] || a - b);
    let mass = 0;
    for (const token of kept) mass += probabilities[offset + token];
    if (options.topP < 1) {
      // Without top-k the whole row's mass is 1 up to rounding; the few dropped tails are below the nucleus anyway.
      const goal = options.topP * (topK > 0 ? mass : 1);
      let nucleus = 0;
      let size = 0;
      while (size < kept.length && (size === 0 || nucleus < goal)) nucleus += probabilities[offset + kept[size++]];
      count = size;
      mass = nucleus;
    }
    return this.#drawFromKept(probabilities, offset, count, mass, uniform);
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

  #drawFromKept(probabilities: Float32Array, offset: number, count: number, mass: number, uniform: number): number {
    if (count === 0 || !(mass > 0)) throw noDistribution();
    const goal = uniform * mass;
    let cumulative = 0;
    let chosen = -1;
    for (let index = 0; index < count; index++) {
      const token = this.#kept[index];
      const probability = probabilities[offset + token];
      if (!(probability > 0)) continue;
      cumulative += probability;
      chosen = token;
      if (cumulative > goal) break;
    }
    return this.#take(probabilities, offset, chosen, mass);
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

  #keepPositive(probabilities: Float32Array, offset: number): number {
    let count = 0;
    for (let token = 0; token < this.#vocabSize; token++) {
      if (probabilities[offset + token] > 0) this.#kept[count++] = token;
    }
    return count;
  }

  /** Tokens below (1 − topP)/V weigh less than 1 − topP together: none is in the nucleus, so few are left to sort. */
  #dropNegligible(probabilities: Float32Array, offset: number, count: number, topP: number): number {
    const least = (0.5 * (1 - topP)) / this.#vocabSize;
    let left = 0;
    for (let index = 0; index < count; index++) {
      const token = this.#kept[index];
      if (probabilities[offset + token] >= least) this.#kept[left++] = token;
    }
    return left;
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
        if (count === k) for (let node = (k >> 1) - 1; node >= 0; node--) sink(heap, node, k, probabilities, offset);
      } else if (probability > probabilities[offset + heap[0]]) {
        heap[0] = token;
        sink(heap, 0, k, probabilities, offset);
      }
    }
    return count;
  }
}

/** Restores the heap below `node`: every parent is less likely than its children (a larger id counts as less likely). */
function sink(heap: Int32Array, node: number, size: number, probabilities: Float32Array, offset: number): void {
  const lessLikely = (a: number, b: number) => {
    const difference = probabilities[offset + a] - probabilities[offset + b];
    return difference < 0 || (difference === 0 && a > b);
  };
  for (;;) {
    let least = node;
    const left = 2 * node + 1;
    if (left < size && lessLikely(heap[left], heap[least])) least = left;
    if (left + 1 < size && lessLikely(heap[left + 1], heap[least])) least = left + 1;
    if (least === node) return;
    [heap[node], heap[least]] = [heap[least], heap[node]];
    node = least;
  }
}

function noDistribution(): UserError {
  return new UserError(
    "The model's output is not a probability distribution: its weights have most likely diverged (NaN). " +
      "Go back to an earlier checkpoint and lower the learning rate.",
  );
}
