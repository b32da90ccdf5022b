/**
 * @file The index on disk.
 *
 * ```
 * out/index.json                    manifest: format, version, settings, and of every segment counts and the size and SHA-256 of its files
 * out/generation-<pid>-<hex>/       one segment
 *   terms.utf8                      all terms in UTF-16 order, without separators
 *   term-offsets.u32    [V + 1]     byte offsets into terms.utf8
 *   posting-offsets.u32 [V + 1]     by term, in the same order
 *   posting-passages.u32 [P]        passage numbers (from 0 in the segment), ascending within a term
 *   posting-frequencies [P]         1, 2 or 4 bytes each, as the manifest says
 *   lengths.u32         [N]         terms of each passage
 *   passages.jsonl                  {"id","title","text"} per line, in corpus order
 *   passage-offsets.f64 [N + 1]     byte offsets into passages.jsonl
 *   passage-checks.u32  [N]         FNV-1a of each line
 *   id-hashes.u32       [2 N]       two hashes of each id: where an id may stand
 *   tombstones-<hex>                which passages are deleted (`tombstones.ts`); absent where none is
 * out/lock                          exists while a process changes the index
 * ```
 * Numbers are little-endian. Files of a segment never change; a deletion writes another file of tombstones. The manifest is the last thing
 * written, by an atomic rename, so an index is either the old one or the new one and never a mixture.
 *
 * Version 1 had one segment, without id-hashes, and numbered its terms in another order (term-numbers.u32 [V]). It is read and added to as
 * it is; what is written is version 2.
 */
import type { FileChecksum } from "../../files/checksummed-file.js";
import { IndexKind } from "../index-folder.js";
import type { AnalyzerSettings } from "../text/analyzer.js";

const formatName = "sleuth-bm25";
export const formatVersion = 2;
export const bm25Index = new IndexKind({
  name: "search index",
  format: formatName,
  versions: [1, formatVersion],
  options: "",
});

export const fileNames = {
  terms: "terms.utf8",
  termOffsets: "term-offsets.u32",
  postingOffsets: "posting-offsets.u32",
  postingPassages: "posting-passages.u32",
  postingFrequencies: "posting-frequencies",
  lengths: "lengths.u32",
  passages: "passages.jsonl",
  passageOffsets: "passage-offsets.f64",
  passageChecks: "passage-checks.u32",
  idHashes: "id-hashes.u32",
} as const;

/** Of version 1 only: the number of the term at each place of the sorted order. */
export const termNumbersName = "term-numbers.u32";

/** Postings of one segment: as many 32-bit numbers as fit the largest buffer of Node 20 (4 GiB). */
export const maxPostings = 2 ** 30 - 1;

export type FileName = (typeof fileNames)[keyof typeof fileNames];

/** Which passages of a segment are deleted. */
interface TombstoneRecord extends FileChecksum {
  /** File in the segment's folder. */
  file: string;
  /** Number of deleted passages. */
  passages: number;
}

export interface SegmentRecord {
  /** Folder that holds the files, relative to the manifest. */
  folder: string;
  /** Passages written, deleted ones included. */
  passages: number;
  terms: number;
  postings: number;
  totalLength: number;
  /** Bytes of one posting's frequency: 1, 2 or 4. */
  frequencyBytes: number;
  files: Record<string, FileChecksum>;
  tombstones?: TombstoneRecord;
}

export interface Manifest {
  format: typeof formatName;
  version: typeof formatVersion;
  analyzer: AnalyzerSettings;
  k1: number;
  b: number;
  /** In the order of the corpus: what was added later comes later. */
  segments: SegmentRecord[];
}

/** Version 1: one segment, flat. */
interface ManifestOne extends Omit<SegmentRecord, "folder" | "tombstones"> {
  format: typeof formatName;
  version: 1;
  generation: string;
  analyzer: AnalyzerSettings;
  k1: number;
  b: number;
}

/** What is written of an index with these settings and segments. */
export function manifestOf(content: Omit<Manifest, "format" | "version">): Manifest {
  return { format: formatName, version: formatVersion, ...content };
}

/**
 * Reads `folder/index.json`; version 1 as one segment.
 * @throws UserError when it is missing, damaged or of another version.
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const content: unknown = await bm25Index.readManifest(folder);
  return (content as { version: number }).version === 1
    ? fromVersionOne(content as ManifestOne)
    : (content as Manifest);
}

function fromVersionOne({ analyzer, k1, b, generation, ...rest }: ManifestOne): Manifest {
  const { passages, terms, postings, totalLength, frequencyBytes, files } = rest;
  const segment = { folder: generation, passages, terms, postings, totalLength, frequencyBytes, files };
  return manifestOf({ analyzer, k1, b, segments: [segment] });
}

/** Passages of a segment that are not deleted. */
export function livingIn(segment: SegmentRecord): number {
  return segment.passages - (segment.tombstones?.passages ?? 0);
}
