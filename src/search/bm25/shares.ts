/** @file What one posting adds to a score, apart from the weight of its term: f / (f + k1·(1 − b + b·|d| / mean|d|)). */

/** Shares of lower frequencies are looked up: nearly all postings have one of them. */
const tabledFrequencies = 8;
const mostTabledLengths = 1024;

/** Lengths of passages in as few bytes as hold them: they are read in random order, so that they should stay in the processor's cache. */
export type Lengths = Uint8Array | Uint16Array | Uint32Array;

export class Shares {
  readonly #k1: number;
  readonly #b: number;
  readonly #meanLength: number;
  readonly #tabledLengths: number;
  /** Shares by frequency, then length. */
  readonly #table: Float64Array;

  /** `longest`: the largest length there is. */
  constructor(k1: number, b: number, meanLength: number, longest: number) {
    this.#k1 = k1;
    this.#b = b;
    this.#meanLength = meanLength;
    this.#tabledLengths = Math.min(longest + 1, mostTabledLengths);
    this.#table = new Float64Array(tabledFrequencies * this.#tabledLengths);
    for (let frequency = 1; frequency < tabledFrequencies; frequency++)
      for (let length = 0; length < this.#tabledLengths; length++)
        this.#table[frequency * this.#tabledLengths + length] = this.#compute(frequency, length);
  }

  /** Above 0 and at most 1. `frequency` is at least 1. */
  of(frequency: number, length: number): number {
    return frequency < tabledFrequencies && length < this.#tabledLengths
      ? this.#table[frequency * this.#tabledLengths + length]
      : this.#compute(frequency, length);
  }

  #compute(frequency: number, length: number): number {
    return frequency / (frequency + this.#k1 * (1 - this.#b + (this.#b * length) / this.#meanLength));
  }
}

/** `longest`: the largest of them. */
export function compactLengths(lengths: Uint32Array, longest: number): Lengths {
  if (longest > 0xffff) return lengths;
  return longest > 0xff ? Uint16Array.from(lengths) : Uint8Array.from(lengths);
}

export function largestOf(values: Uint32Array): number {
  let largest = 0;
  for (let index = 0; index < values.length; index++) if (values[index] > largest) largest = values[index];
  return largest;
}
