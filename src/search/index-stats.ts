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
  const lengths: number[] = [];
  const documents = new Set<string>();
  const texts = new Set<string>();
  for (let first = 0; first < source.count; first += readAtOnce) {
    signal?.throwIfAborted();
    for (const passage of await source.read(aliveFrom(source, first))) {
      lengths.push(lengthOf(passage));
      documents.add(documentOf(passage.id));
      texts.add(fingerprint(passage.text));
    }
    onProgress?.(Math.min(source.count, first + readAtOnce), source.count);
    await nextTurn();
  }
  const passages = lengths.length;
  return {
    ...{ passages, deleted: source.count - passages, documents: documents.size, repeated: passages - texts.size },
    lengths: Uint32Array.from(lengths).sort(),
  };
}

function aliveFrom(source: Pick<PassageSource, "count" | "isDeleted">, first: number): number[] {
  const numbers = Array.from({ length: Math.min(readAtOnce, source.count - first) }, (_, place) => first + place);
  return numbers.filter((number) => !source.isDeleted(number));
}

/** Of a text, spacing apart: a set of them takes less memory than the texts. */
function fingerprint(text: string): string {
  return createHash("sha1").update(text.trim().replace(/\s+/g, " ")).digest("base64");
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
