/**
 * @file An index as the scorer sees it: segments of flat arrays, in the order of the corpus. All of it can be sent to a worker as it is;
 * arrays of indexes on disk lie in SharedArrayBuffers, so that every worker reads the same memory.
 *
 * Axes of a segment: N passages, V terms, P postings.
 */
import type { AnalyzerSettings } from "../text/analyzer.js";
import type { Frequencies } from "./data.js";

/** The dictionary as one block of text: no object per term, so millions of terms open at once. */
export interface TermBlock {
  /** All terms in UTF-16 order, UTF-8, without separators. */
  text: Uint8Array;
  /** Byte offsets into `text`; length V + 1. */
  offsets: Uint32Array;
  /** Number of the term at each place of that order; length V. */
  numbers: Uint32Array;
}

export interface Segment {
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
  segments: Segment[];
  /** Passages that are not deleted. */
  passages: number;
  /** Sum of their lengths. */
  totalLength: number;
  /** How many deleted passages hold a term, over all segments; terms that none holds are left out. */
  deletedFrequencies: ReadonlyMap<string, number>;
}
