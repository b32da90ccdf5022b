/**
 * @file The dense index on disk.
 *
 * ```
 * out/index.json                    manifest: format, version, encoder, counts, size and SHA-256 of every file
 * out/generation-<pid>-<hex>/
 *   vectors.f32        [N × E]      unit vectors in corpus order
 *   passages.jsonl                  {"id","title","text","url"?,"section"?} per line, in corpus order
 *   passage-offsets.f64 [N + 1]     byte offsets into passages.jsonl
 *   passage-checks.u32  [N]         FNV-1a of each line
 *   progress.json                   while it is being built: what is durable
 * ```
 * Numbers are little-endian. The manifest is the last thing written, by an atomic rename; it names the generation, so an index is either
 * the old one or the new one and never a mixture.
 */
import { z } from "zod";
import { checksumSchema } from "../../../files/checksummed-file.js";
import { isPlainName } from "../../../files/safe-path.js";
import { IndexKind } from "../../index-folder.js";
import { encoderSourceSchema } from "../encoder.js";

export const formatName = "sleuth-dense";
export const formatVersion = 1;
export const denseIndex = new IndexKind({
  name: "dense index",
  format: formatName,
  versions: [formatVersion],
  options: " --engine dense --encoder ENCODER",
});
export const progressName = "progress.json";

export const fileNames = {
  vectors: "vectors.f32",
  passages: "passages.jsonl",
  passageOffsets: "passage-offsets.f64",
  passageChecks: "passage-checks.u32",
} as const;

export type FileName = (typeof fileNames)[keyof typeof fileNames];

const count = z.int().nonnegative();

const manifestSchema = z.object({
  format: z.literal(formatName),
  version: z.literal(formatVersion),
  /** Folder that holds the files, relative to the manifest. */
  generation: z.string().refine(isPlainName, "no plain name"),
  /** Name of the encoder that made the vectors; absent for vectors of unknown origin. */
  encoder: z.string().optional(),
  /** What opens it again. */
  encoderSource: encoderSourceSchema.optional(),
  passages: count,
  dimensions: z.int().positive(),
  files: z.object({
    [fileNames.vectors]: checksumSchema,
    [fileNames.passages]: checksumSchema,
    [fileNames.passageOffsets]: checksumSchema,
    [fileNames.passageChecks]: checksumSchema,
  }),
});
export type DenseManifest = z.infer<typeof manifestSchema>;

/**
 * Reads `folder/index.json`.
 * @throws UserError when it is missing, damaged or of another version, and when its counts do not fit the files that it names
 */
export async function readDenseManifest(folder: string): Promise<DenseManifest> {
  const manifest = denseIndex.parse(folder, await denseIndex.readManifest(folder), manifestSchema);
  const { passages, dimensions, files } = manifest;
  denseIndex.checkSizes(folder, files, {
    [fileNames.vectors]: 4 * passages * dimensions,
    [fileNames.passageOffsets]: 8 * (passages + 1),
    [fileNames.passageChecks]: 4 * passages,
  });
  return manifest;
}
