/**
 * @file The passages of a frequent term as a set of bits with counts, so that one passage's posting is found at once: the place of a bit is
 * the number of bits before it (Jacobson's rank, 1989). A quarter of a byte for each passage of the segment.
 */
import type { Segment } from "./snapshot.js";

/** A term is frequent when at least one passage in this many holds it: shorter lists are searched about as fast. */
const sparsest = 16;

/** For the sets of one segment, in each thread. Terms that come when it is used up have none: to make sets again and again costs more. */
const mostBytes = 64 * 1024 * 1024;
const mostBytesPerPassage = 32;

export class PassageSet {
  readonly #bits: Uint32Array;
  /** Bits set before each word of `bits`. */
  readonly #before: Uint32Array;

  /** The passages at `start` to `end` of `postingPassages`; `count`: passages of the segment. */
  constructor(postingPassages: Uint32Array, start: number, end: number, count: number) {
    this.#bits = new Uint32Array((count + 31) >>> 5);
    this.#before = new Uint32Array(this.#bits.length);
    for (let posting = start; posting < end; posting++) {
      const passage = postingPassages[posting];
      this.#bits[passage >>> 5] |= 1 << (passage & 31);
    }
    for (let word = 1; word < this.#bits.length; word++)
      this.#before[word] = this.#before[word - 1] + bitsIn(this.#bits[word - 1]);
  }

  get bytes(): number {
    return this.#bits.byteLength + this.#before.byteLength;
  }

  /** How many passages of the set come before this one; -1 when it is not in the set. */
  placeOf(passage: number): number {
    const word = this.#bits[passage >>> 5];
    const bit = 1 << (passage & 31);
    return (word & bit) === 0 ? -1 : this.#before[passage >>> 5] + bitsIn(word & (bit - 1));
  }
}

/** Sets of one segment's frequent terms, made when they are first asked for. */
export class PassageSets {
  readonly #segment: Segment;
  readonly #sets = new Map<number, PassageSet>();
  #bytes = 0;

  constructor(segment: Segment) {
    this.#segment = segment;
  }

  /** Undefined for a term that is not frequent, and when no more sets are made. */
  of(number: number): PassageSet | undefined {
    const { postingOffsets, postingPassages, lengths } = this.#segment;
    const [start, end] = [postingOffsets[number], postingOffsets[number + 1]];
    if ((end - start) * sparsest < lengths.length) return undefined;
    const known = this.#sets.get(number);
    if (known !== undefined || this.#bytes >= Math.min(mostBytes, mostBytesPerPassage * lengths.length)) return known;
    const set = new PassageSet(postingPassages, start, end, lengths.length);
    this.#sets.set(number, set);
    this.#bytes += set.bytes;
    return set;
  }
}

function bitsIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
