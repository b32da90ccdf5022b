/** @file The largest shares of a term: what it adds to a score at most, and what the best passages have from it alone at least. */
import { LargestNumbers } from "../largest-numbers.js";
import type { Lengths, Shares } from "./shares.js";
import type { Segment } from "./snapshot.js";

/** Of these places among the shares of a term, largest first, the share is kept. */
const places = [1, 4, 16, 64, 256];

/** Terms whose bounds are remembered; about 15 MB. */
const rememberedTerms = 100_000;

/** The largest share, and the shares at `places` (0 where fewer passages hold the term). */
export interface TermBounds {
  largest: number;
  shares: Float64Array;
}

/** Bounds of the terms of one segment, found by one pass over a term's postings when they are first asked for. */
export class SegmentBounds {
  readonly #segment: Segment;
  readonly #lengths: Lengths;
  readonly #shares: Shares;
  readonly #known = new Map<number, TermBounds>();

  constructor(segment: Segment, lengths: Lengths, shares: Shares) {
    this.#segment = segment;
    this.#lengths = lengths;
    this.#shares = shares;
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
    const best = new LargestNumbers(Math.min(places[places.length - 1], end - start), 0);
    let threshold = best.threshold;
    for (let posting = start; posting < end; posting++) {
      const passage = postingPassages[posting];
      if (deleted !== undefined && deleted[passage] === 1) continue;
      const share = this.#shares.of(postingFrequencies[posting], this.#lengths[passage]);
      if (share <= threshold) continue;
      best.offer(share);
      threshold = best.threshold;
    }
    const sorted = best.sorted();
    return { largest: sorted[0] ?? 0, shares: Float64Array.from(places, (place) => sorted[place - 1] ?? 0) };
  }
}

/** A share that at least `k` passages reach, or 0 when none is known. */
export function shareReachedBy(k: number, { shares }: TermBounds): number {
  const index = places.findIndex((place) => place >= k);
  return index < 0 ? 0 : shares[index];
}
