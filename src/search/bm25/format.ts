/**
 * @file The index on disk.
 *
 * ```
 * out/index.json                    manifest: format, version, settings, counts, size and SHA-256 of every file
 * out/generation-<pid>-<hex>/
 *   terms.utf8                      all terms in UTF-16 order, without separators
 *   term-offsets.u32    [V + 1]     byte offsets into terms.utf8
 *   term-numbers.u32    [V]         number of the term at each place of that order
 *   posting-offsets.u32 [V + 1]     by term number
 *   posting-passages.u32 [P]        passage numbers, ascending within a term
 *   posting-frequencies [P]         1, 2 or 4 bytes each, as the manifest says
 *   lengths.u32         [N]         terms of each passage
 *   passages.jsonl                  {"id","title","text"} per line, in corpus order
 *   passage-offsets.f64 [N + 1]     byte offsets into passages.jsonl
 *   passage-checks.u32  [N]         FNV-1a of each line
 * ```
 * Numbers are little-endian. The manifest is the last thing written, by an atomic rename; it names the generation, so an
 * index is either the old one or the new one and never a mixture.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../errors.js";
import type { AnalyzerSettings } from "../analyzer.js";

export const formatName = "sleuth-bm25";
export const formatVersion = 1;
export const manifestName = "index.json";
export const generationPrefix = "generation-";

export const fileNames = {
  terms: "terms.utf8",
  termOffsets: "term-offsets.u32",
  termNumbers: "term-numbers.u32",
  postingOffsets: "posting-offsets.u32",
  postingPassages: "posting-passages.u32",
  postingFrequencies: "posting-frequencies",
  lengths: "lengths.u32",
  passages: "passages.jsonl",
  passageOffsets: "passage-offsets.f64",
  passageChecks: "passage-checks.u32",
} as const;

export type FileName = (typeof fileNames)[keyof typeof fileNames];

/** Size and SHA-256 (hex) of a file. */
export interface FileSeal {
  bytes: number;
  sha256: string;
}

export interface Manifest {
  format: typeof formatName;
  version: typeof formatVersion;
  /** Folder that holds the files, relative to the manifest. */
  generation: string;
  analyzer: AnalyzerSettings;
  k1: number;
  b: number;
  passages: number;
  terms: number;
  postings: number;
  totalLength: number;
  /** Bytes of one posting's frequency: 1, 2 or 4. */
  frequencyBytes: number;
  files: Record<FileName, FileSeal>;
}

/** The manifest's text, sealed with a hash of its own. */
export function sealManifest(manifest: Manifest): string {
  return JSON.stringify({ ...manifest, seal: sealOf(manifest) }, null, 2) + "\n";
}

/**
 * Reads `folder/index.json`.
 * @throws UserError when it is missing, damaged or of another version.
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new UserError(
      `There is no search index in ${folder}: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}). ${remedy(folder)}`,
      { cause },
    );
  }
  return checkManifest(text, path, folder);
}

function checkManifest(text: string, path: string, folder: string): Manifest {
  let parsed: Manifest & { seal: string };
  try {
    parsed = JSON.parse(text) as Manifest & { seal: string };
  } catch (cause) {
    throw damaged(path, "it is not JSON", folder, cause);
  }
  if (typeof parsed !== "object" || parsed === null || parsed.format !== formatName)
    throw new UserError(`${path} is not the manifest of a Sleuth index. ${remedy(folder)}`);
  if (parsed.version !== formatVersion)
    throw new UserError(
      `${path} is of version ${String(parsed.version)}; this Sleuth reads version ${formatVersion}. ${remedy(folder)}`,
    );
  const { seal, ...manifest } = parsed;
  if (seal !== sealOf(manifest)) throw damaged(path, "its seal does not match its content", folder);
  return manifest;
}

/** The error of a file that is not what was written. */
export function damaged(path: string, why: string, folder: string, cause?: unknown): UserError {
  return new UserError(`The search index is damaged: ${path}: ${why}. ${remedy(folder)}`, { cause });
}

export function remedy(folder: string): string {
  return `Build it with \`sleuth index CORPUS.jsonl --out ${folder}\`.`;
}

function sealOf(manifest: Manifest): string {
  return createHash("sha256").update(JSON.stringify(manifest)).digest("hex");
}
