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
 *   passages.jsonl                  {"id","title","text","url"?,"section"?} per line, in corpus order
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
import { join } from "node:path";
import { z } from "zod";
import { checksumSchema } from "../../files/checksummed-file.js";
import { isPlainName } from "../../files/safe-path.js";
import { IndexKind, manifestName } from "../index-folder.js";
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

const count = z.int().nonnegative();
const folderName = z.string().refine(isPlainName, "no plain name");

/** Which passages of a segment are deleted. */
const tombstoneSchema = z.object({
  /** File in the segment's folder. */
  file: folderName,
  /** Number of deleted passages. */
  passages: count,
  ...checksumSchema.shape,
});

const segmentSchema = z.object({
  /** Folder that holds the files, relative to the manifest. */
  folder: folderName,
  /** Passages written, deleted ones included. */
  passages: count,
  terms: count,
  postings: count,
  totalLength: count,
  /** Bytes of one posting's frequency: 1, 2 or 4. */
  frequencyBytes: z.int().refine((bytes) => [1, 2, 4].includes(bytes), "not 1, 2 or 4"),
  files: z.record(folderName, checksumSchema),
  tombstones: tombstoneSchema.optional(),
});
export type SegmentRecord = z.infer<typeof segmentSchema>;

const settingsSchema = {
  analyzer: z.object({
    lowercase: z.boolean(),
    removePossessives: z.boolean(),
    stopWords: z.array(z.string()).readonly(),
    stemmer: z.enum(["porter", "none"]),
  }) satisfies z.ZodType<AnalyzerSettings>,
  k1: z.number(),
  b: z.number(),
};

const manifestSchema = z.object({
  format: z.literal(formatName),
  version: z.literal(formatVersion),
  ...settingsSchema,
  /** In the order of the corpus: what was added later comes later. */
  segments: z.array(segmentSchema),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** Version 1: one segment, flat. */
const manifestOneSchema = segmentSchema
  .omit({ folder: true, tombstones: true })
  .extend({ ...settingsSchema, version: z.literal(1), generation: folderName });

/** What is written of an index with these settings and segments. */
export function manifestOf(content: Omit<Manifest, "format" | "version">): Manifest {
  return { format: formatName, version: formatVersion, ...content };
}

/**
 * Reads `folder/index.json`; version 1 as one segment.
 * @throws UserError when it is missing, damaged or of another version, and when its counts do not fit the files that it names
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const content = await bm25Index.readManifest(folder);
  const manifest =
    content.version === 1
      ? fromVersionOne(bm25Index.parse(folder, content, manifestOneSchema))
      : bm25Index.parse(folder, content, manifestSchema);
  for (const segment of manifest.segments) checkSegment(folder, segment);
  return manifest;
}

function checkSegment(folder: string, segment: SegmentRecord): void {
  const { files, passages, terms, postings, frequencyBytes, tombstones } = segment;
  bm25Index.checkSizes(folder, files, {
    [fileNames.termOffsets]: 4 * (terms + 1),
    [fileNames.postingOffsets]: 4 * (terms + 1),
    [fileNames.postingPassages]: 4 * postings,
    [fileNames.postingFrequencies]: frequencyBytes * postings,
    [fileNames.lengths]: 4 * passages,
    [fileNames.passageOffsets]: 8 * (passages + 1),
    [fileNames.passageChecks]: 4 * passages,
    ...(fileNames.idHashes in files && { [fileNames.idHashes]: 8 * passages }),
    ...(termNumbersName in files && { [termNumbersName]: 4 * terms }),
    // Of any size.
    ...Object.fromEntries([fileNames.terms, fileNames.passages].map((name) => [name, files[name]?.bytes ?? 0])),
  });
  if ((tombstones?.passages ?? 0) <= passages) return;
  throw bm25Index.damagedIn(folder)(join(folder, manifestName), "more passages are deleted than there are");
}

function fromVersionOne({ analyzer, k1, b, generation, ...segment }: z.infer<typeof manifestOneSchema>): Manifest {
  return manifestOf({ analyzer, k1, b, segments: [segmentSchema.parse({ folder: generation, ...segment })] });
}

/** Passages of a segment that are not deleted. */
export function livingIn(segment: SegmentRecord): number {
  return segment.passages - (segment.tombstones?.passages ?? 0);
}
