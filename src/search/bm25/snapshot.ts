/**
 * @file An index as the scorer sees it: segments of flat arrays, in the order of the corpus. All of it can be sent to a worker as it is;
 * arrays of indexes on disk lie in SharedArrayBuffers, so that every worker reads the same memory.
 *
 * Axes of a segment: N passages, V terms, P postings.
 */
import type { AnalyzerSettings } from "../text/analyzer.js";

/** How often passages hold terms, in as few bytes as do. */
export type Frequencies = Uint8Array | Uint16Array | Uint32Array;

/** The dictionary as one block of text: no object per term, so millions of terms open at once. */
export interface TermBlock {
  /** All terms in UTF-16 order, UTF-8, without separators. */
  text: Uint8Array;
  /** Byte offsets into `text`; length V + 1. */
  offsets: Uint32Array;
  /** Number of the term at each place of that order; length V. */
  numbers: Uint32Array;
}

export interface IndexSegment {
  /** Number of its first passage in the whole index; passages of a segment are numbered on from there. */
  firstPassage: number;
  terms: TermBlock;
  /** Terms of each passage, repetitions included; length N. */
  lengths: Uint32Array;
  /** Postings of term t are those from `postingOffsets[t]` to `postingOffsets[t + 1]`; length V + 1. */
  postingOffsets: Uint32Array;
  /** Passages (of the segment, from 0) that hold a term, ascending within the term; length P. */
  postingPassages: Uint32Array;
  /** How often they hold it; length P. */
  postingFrequencies: Frequencies;
  /** 1 for each passage that was deleted; length N. Absent where none was. */
  deleted?: Uint8Array;
}

/** Everything that ranking needs. Numbers count what is not deleted, so that scores are those of an index built anew without it. */
export interface Bm25Snapshot {
  analyzer: AnalyzerSettings;
  k1: number;
  b: number;
  segments: IndexSegment[];
  /** Passages that are not deleted. */
  passages: number;
  /** Sum of their lengths. */
  totalLength: number;
  /** How many deleted passages hold a term, over all segments; terms that none holds are left out. */
  deletedFrequencies: ReadonlyMap<string, number>;
}

/** The narrowest array that holds frequencies up to `maximum`. */
export function frequencyArray(maximum: number, length: number): Frequencies {
  if (maximum <= 0xff) return new Uint8Array(length);
  return maximum <= 0xffff ? new Uint16Array(length) : new Uint32Array(length);
}

/** 1 for each deleted passage, in memory that threads can share; undefined where none is. Length N. */
export function deletedFlags(passages: number, deleted: Uint32Array): Uint8Array | undefined {
  if (deleted.length === 0) return undefined;
  const flags = new Uint8Array(new SharedArrayBuffer(passages));
  for (const passage of deleted) flags[passage] = 1;
  return flags;
}

/** Puts a dictionary into its block. Arrays lie in SharedArrayBuffers. */
export function termBlockOf(numbers: ReadonlyMap<string, number>): TermBlock {
  const sorted = [...numbers.keys()].sort();
  const bytes = sorted.reduce((sum, term) => sum + Buffer.byteLength(term), 0);
  const block: TermBlock = {
    text: new Uint8Array(new SharedArrayBuffer(bytes)),
    offsets: new Uint32Array(new SharedArrayBuffer(4 * (sorted.length + 1))),
    numbers: new Uint32Array(new SharedArrayBuffer(4 * sorted.length)),
  };
  let end = 0;
  for (const [place, term] of sorted.entries()) {
    const encoded = Buffer.from(term);
    block.text.set(encoded, end);
    end += encoded.length;
    block.offsets[place + 1] = end;
    block.numbers[place] = numbers.get(term) as number;
  }
  return block;
}

/** The number of a term (UTF-8), or -1 when no passage holds it. Binary search. */
export function numberOfTerm({ text, offsets, numbers }: TermBlock, term: Uint8Array): number {
  let low = 0;
  let high = numbers.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const order = compare(term, text, offsets[middle], offsets[middle + 1]);
    if (order === 0) return numbers[middle];
    if (order > 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Compares UTF-8 with the piece of `text` from `start` to `end`, in the order of UTF-16 units as JavaScript compares strings. */
function compare(term: Uint8Array, text: Uint8Array, start: number, end: number): number {
  const shared = Math.min(term.length, end - start);
  for (let at = 0; at < shared; at++) {
    const [one, other] = [term[at], text[start + at]];
    if (one !== other) return utf16Rank(one) - utf16Rank(other);
  }
  return term.length - (end - start);
}

/**
 * UTF-8 sorts by code point. UTF-16 differs in one thing: characters beyond U+FFFF (first byte 0xf0 and up) begin with a surrogate, which
 * comes before U+E000 to U+FFFF (first bytes 0xee and 0xef).
 */
function utf16Rank(byte: number): number {
  return byte === 0xee || byte === 0xef ? byte + 0x10 : byte;
}
