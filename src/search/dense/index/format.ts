/**
 * @file The dense index on disk.
 *
 * ```
 * out/index.json                    manifest: format, version, encoder, counts, size and SHA-256 of every file
 * out/generation-<pid>-<hex>/
 *   vectors.f32        [N × E]      unit vectors in corpus order
 *   passages.jsonl                  {"id","title","text"} per line, in corpus order
 *   passage-offsets.f64 [N + 1]     byte offsets into passages.jsonl
 *   passage-checks.u32  [N]         FNV-1a of each line
 *   progress.json                   while it is being built: what is durable
 * ```
 * Numbers are little-endian. The manifest is the last thing written, by an atomic rename; it names the generation, so an index is either
 * the old one or the new one and never a mixture.
 */
import type { FileChecksum } from "../../../files/checksummed-file.js";
import { IndexKind } from "../../index-folder.js";
import type { EncoderSource } from "../encoder.js";

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

export interface DenseManifest {
  format: typeof formatName;
  version: typeof formatVersion;
  /** Folder that holds the files, relative to the manifest. */
  generation: string;
  /** Name of the encoder that made the vectors; absent for vectors of unknown origin. */
  encoder?: string;
  /** What opens it again. */
  encoderSource?: EncoderSource;
  passages: number;
  dimensions: number;
  files: Record<FileName, FileChecksum>;
}
