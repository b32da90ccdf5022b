/**
 * @file An inverted index as plain typed arrays: what the scorer reads, whoever made it. Nothing in it is an object per
 * passage or per posting, so it can be shared with a worker as it stands.
 *
 * Axes: N passages, V terms, P postings.
 */

export type Frequencies = Uint8Array | Uint16Array | Uint32Array;

export interface Bm25Data {
  /** Terms of each passage, repetitions included; length N. */
  lengths: Uint32Array;
  /** Sum of `lengths`. */
  totalLength: number;
  /** Postings of term t are those from `postingOffsets[t]` to `postingOffsets[t + 1]`; length V + 1. */
  postingOffsets: Uint32Array;
  /** Passages that hold a term, ascending within the term; length P. */
  postingPassages: Uint32Array;
  /** How often they hold it; length P. */
  postingFrequencies: Frequencies;
  /** The number of a term, or -1 when no passage holds it. */
  termNumber(term: string): number;
}

/** The narrowest array that holds frequencies up to `maximum`. */
export function frequencyArray(maximum: number, length: number): Frequencies {
  if (maximum <= 0xff) return new Uint8Array(length);
  return maximum <= 0xffff ? new Uint16Array(length) : new Uint32Array(length);
}
