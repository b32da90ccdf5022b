/** @file What the passages of an index are like: how many, of how many documents, how long, and how many say the same. */
import { createHash } from "node:crypto";
import { nextTurn } from "../async.js";
import type { StoredPassage } from "../types.js";
import type { PassageSource } from "./passages.js";

export interface PassageStats {
  passages: number;
  /** Passages that were deleted and still take room. */
  deleted: number;
  documents: number;
  /** Passages whose text another one has already had, spacing apart. */
  repeated: number;
  /** Length of each passage, ascending. */
  lengths: Uint32Array;
}

interface StatsOptions {
  /** Length of a passage, in whatever unit. */
  lengthOf: (passage: StoredPassage) => number;
  /** The document of a passage, by its id. */
  documentOf: (id: string) => string;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Passages read before other work gets its turn. */
const readAtOnce = 256;

/**
 * Reads every passage once.
 * @throws DamagedPassage; the signal's reason
 */
export async function passageStats(
  source: Pick<PassageSource, "count" | "isDeleted" | "read">,
  { lengthOf, documentOf, signal, onProgress }: StatsOptions,
): Promise<PassageStats> {
  const lengths = new Uint32Array(source.count);
  const documents = new Float64Array(source.count);
  const texts = new Float64Array(source.count);
  let passages = 0;
  for (let first = 0; first < source.count; first += readAtOnce) {
    signal?.throwIfAborted();
    for (const passage of await source.read(aliveFrom(source, first))) {
      lengths[passages] = lengthOf(passage);
      documents[passages] = fingerprint(documentOf(passage.id));
      texts[passages++] = fingerprint(passage.text.trim().replace(/\s+/g, " "));
    }
    onProgress?.(Math.min(source.count, first + readAtOnce), source.count);
    await nextTurn();
  }
  return {
    ...{ passages, deleted: source.count - passages, documents: differentOf(documents.subarray(0, passages)) },
    ...{ repeated: passages - differentOf(texts.subarray(0, passages)), lengths: lengths.subarray(0, passages).sort() },
  };
}

function aliveFrom(source: Pick<PassageSource, "count" | "isDeleted">, first: number): number[] {
  const numbers = Array.from({ length: Math.min(readAtOnce, source.count - first) }, (_, place) => first + place);
  return numbers.filter((number) => !source.isDeleted(number));
}

/** Of a text, 48 bits. */
function fingerprint(text: string): number {
  return createHash("sha1").update(text).digest().readUIntBE(0, 6);
}

/** How many different numbers there are. Sorts them: a set holds 2 ** 24 at most, and an index may have more passages. */
function differentOf(numbers: Float64Array): number {
  return numbers.sort().reduce((count, number, place) => (number === numbers[place - 1] ? count : count + 1), 0);
}

/** The value that so large a share of ascending values does not exceed; 0 of nothing. */
export function quantileOf(ascending: Uint32Array, share: number): number {
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)] ?? 0;
}

/** How many ascending values fall into each of `bins` equal parts of 0 to the largest. */
export function histogramOf(ascending: Uint32Array, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  const largest = Math.max(1, ascending.at(-1) ?? 0);
  for (const value of ascending) counts[Math.min(bins - 1, Math.floor((value / largest) * bins))]++;
  return counts;
}
