/** @file What of an unfinished index is durable: written after every commit, read by the build that goes on. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../../../files/disk.js";
import { fileNames, progressName } from "./format.js";
import { generationPrefix, manifestName } from "../../../files/checksummed-manifest.js";

export interface Progress {
  /** Name of the encoder. */
  encoder: string;
  dimensions: number;
  /** Passages whose lines and vectors are on the disk. */
  rows: number;
  passageBytes: number;
  /** Over the check numbers of these passages' lines: tells this corpus from another. */
  digest: number;
}

/** Puts it on the disk in one step. */
export function writeProgress(folder: string, progress: Progress): void {
  replaceFile(join(folder, progressName), JSON.stringify(progress));
}

/** The generation that a build began and did not finish, with what it had done. */
export function findUnfinished(out: string): { generation: string; progress: Progress } | undefined {
  const current = currentGeneration(out);
  for (const generation of readdirSync(out)) {
    if (!generation.startsWith(generationPrefix) || generation === current) continue;
    try {
      const progress = JSON.parse(readFileSync(join(out, generation, progressName), "utf8")) as Progress;
      if (progress.rows > 0) return { generation, progress };
    } catch {
      // Nothing of it was durable.
    }
  }
  return undefined;
}

/** The generation that the manifest in `out` names, however damaged the rest is. */
export function currentGeneration(out: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(out, manifestName), "utf8")) as { generation?: string }).generation;
  } catch {
    return undefined;
  }
}

/** Folds one more line's check number into a digest. */
export function digestWith(digest: number, check: number): number {
  return (Math.imul(digest ^ check, 0x01000193) ^ (digest >>> 15)) >>> 0;
}

export const firstDigest = 0x811c9dc5;

/** Files that grow while texts are encoded. */
export const growingFiles = [fileNames.vectors, fileNames.passages] as const;
