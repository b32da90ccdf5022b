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
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../../errors.js";
import type { FileChecksum } from "../../../files/checksummed-file.js";
import { manifestName, parseChecksummed } from "../../../files/checksummed-manifest.js";
import type { EncoderSource } from "../encoder.js";

export const formatName = "sleuth-dense";
export const formatVersion = 1;
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

/**
 * Reads the manifest of an index folder, or of the folder `dense` in it.
 * @returns the manifest with the folder that it lies in
 * @throws UserError when it is missing, damaged, of another version or of another kind of index
 */
export async function readManifest(given: string): Promise<{ folder: string; manifest: DenseManifest }> {
  const inside = join(given, "dense");
  const folder = (await formatOf(given)) !== formatName && (await exists(join(inside, manifestName))) ? inside : given;
  const path = join(folder, manifestName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new UserError(
      `There is no dense index in ${folder}: ${path} cannot be read (${(cause as { code?: string }).code}). ${remedy(folder)}`,
      { cause },
    );
  }
  return { folder, manifest: checkManifest(text, path, folder) };
}

function checkManifest(text: string, path: string, folder: string): DenseManifest {
  let read: ReturnType<typeof parseChecksummed>;
  try {
    read = parseChecksummed(text);
  } catch (cause) {
    throw damaged(path, "it is not JSON", folder, cause);
  }
  const { content, isWhole } = read;
  const { format } = content;
  if (format !== formatName) {
    const what = typeof format === "string" ? `is the manifest of another kind of index (${format})` : "is no manifest";
    throw new UserError(`${path} ${what}, not of a dense one. ${remedy(folder)}`);
  }
  if (content.version !== formatVersion)
    throw new UserError(
      `${path} is of version ${String(content.version)}; this Sleuth reads version ${formatVersion}. ${remedy(folder)}`,
    );
  if (!isWhole) throw damaged(path, "its checksum does not match its content", folder);
  return content as unknown as DenseManifest;
}

async function formatOf(folder: string): Promise<unknown> {
  const text = await readFile(join(folder, manifestName), "utf8").catch(() => "");
  try {
    return (JSON.parse(text) as { format?: unknown } | null)?.format;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The error of a file that is not what was written. */
export function damaged(path: string, why: string, folder: string, cause?: unknown): UserError {
  return new UserError(`The dense index is damaged: ${path}: ${why}. ${remedy(folder)}`, { cause });
}

export function remedy(folder: string): string {
  return `Build it with \`sleuth index CORPUS.jsonl --engine dense --encoder ENCODER --out ${folder}\`.`;
}
