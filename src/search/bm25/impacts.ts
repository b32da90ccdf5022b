/**
 * @file What one posting adds to a score, apart from the weight of its term: the tf component f / (f + k1·(1 − b + b·|d| / mean|d|)). And
 * its largest values for each term: what the term adds to a score at most, and what the best passages have from it alone at least.
 */
import { TopK } from "../top-k.js";
import type { IndexSegment } from "./snapshot.js";

/** For lower frequencies the tf component is looked up: nearly all postings have one of them. */
const tabledFrequencies = 8;
const mostTabledLengths = 1024;

/** Lengths of passages in as few bytes as hold them: they are read in random order, so that they should stay in the processor's cache. */
export type Lengths = Uint8Array | Uint16Array | Uint32Array;

export class TfComponents {
  readonly #k1: number;
  readonly #b: number;
  readonly #meanLength: number;
  readonly #tabledLengths: number;
  /** By frequency, then length. */
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

/** At these ranks among the tf components of a term, largest first, the value is kept. */
const ranks = [1, 4, 16, 64, 256];

/** Terms whose bounds are remembered; about 15 MB. */
const rememberedTerms = 100_000;

/** The largest tf components of a term. */
interface TermBounds {
  largest: number;
  /** At each of `ranks`; 0 where fewer passages hold the term. */
  atRanks: Float64Array;
}

/** Bounds of the terms of one segment, found by one pass over a term's postings when they are first asked for. */
export class SegmentBounds {
  readonly #segment: IndexSegment;
  readonly #lengths: Lengths;
  readonly #tf: TfComponents;
  readonly #known = new Map<number, TermBounds>();

  constructor(segment: IndexSegment, lengths: Lengths, tf: TfComponents) {
    this.#segment = segment;
    this.#lengths = lengths;
    this.#tf = tf;
  }

  of(number: number): TermBounds {
    const known = this.#known.get(number);
    if (known !== undefined) return known;
    if (this.#known.size >= rememberedTerms) this.#known.clear();
    const bounds = this.#find(number);
    this.#known.set(number, bounds);
    return bounds;
  }

  #find(number: number): TermBounds {
    const { postingOffsets, postingPassages, postingFrequencies, deleted } = this.#segment;
    const [start, end] = [postingOffsets[number], postingOffsets[number + 1]];
    const best = new TopK(Math.min(ranks[ranks.length - 1], end - start));
    let threshold = best.threshold;
    for (let posting = start; posting < end; posting++) {
      const passage = postingPassages[posting];
      if (deleted !== undefined && deleted[passage] === 1) continue;
      const tf = this.#tf.of(postingFrequencies[posting], this.#lengths[passage]);
      if (tf <= threshold) continue;
      best.offer(passage, tf);
      threshold = best.threshold;
    }
    const sorted = best.scores();
    return { largest: sorted[0] ?? 0, atRanks: Float64Array.from(ranks, (rank) => sorted[rank - 1] ?? 0) };
  }
}

/** A tf component that at least `k` passages reach, or 0 when none is known. */
export function tfReachedBy(k: number, { atRanks }: TermBounds): number {
  const index = ranks.findIndex((rank) => rank >= k);
  return index < 0 ? 0 : atRanks[index];
}
