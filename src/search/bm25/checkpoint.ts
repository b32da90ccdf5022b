/**
 * @file How far a build has come, in `building.json` beside the segment that is being written: after every run all files so far are put on the
 * disk and this one is replaced, so that an interrupted build goes on behind its last whole run.
 */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { OutputFiles } from "../../files/disk.js";
import { fileNames } from "./format.js";
import { generationPrefix, sealed, unsealed } from "../../files/checksummed-manifest.js";
import type { FileSeal } from "../../files/checksummed-manifest.js";

const checkpointName = "building.json";
const checkpointVersion = 1;

/** Where in its source a build goes on. */
export interface SourcePlace {
  /** Number of the file, from 0. */
  file: number;
  /** Bytes of that file before the place. */
  byte: number;
  /** Number of the line (or passage) that begins there, from 1. */
  line: number;
}

/** A run in a file: the arrays of `Run` but its lines, in the order of `runArrays`. */
export interface RunRecord {
  file: string;
  passages: number;
  terms: number;
  termBytes: number;
  postings: number;
  frequencyBytes: number;
  /** Where its lines begin in passages.jsonl. */
  textStart: number;
  seal: FileSeal;
}

export interface Checkpoint {
  /** What is built: settings and source, as `grow.ts` describes them. */
  source: string;
  next: SourcePlace;
  /** Bytes of passages.jsonl. */
  textBytes: number;
  runs: RunRecord[];
}

/** Puts a checkpoint in force. */
export function writeCheckpoint(folder: string, checkpoint: Checkpoint, files: OutputFiles): void {
  const path = join(folder, checkpointName);
  const unfinished = `${path}.new`;
  files.remove(unfinished);
  const file = files.create(unfinished);
  try {
    file.write(Buffer.from(sealed({ format: "sleuth-bm25-building", version: checkpointVersion, ...checkpoint })));
  } catch (error) {
    file.abandon();
    throw error;
  }
  file.finish();
  files.rename(unfinished, path);
  files.syncFolder(folder);
}

export interface Interrupted {
  /** Name of the folder in the index. */
  folder: string;
  checkpoint: Checkpoint;
}

/** An interrupted build of the same source in `out`, if its files are whole. */
export async function findInterrupted(out: string, source: string): Promise<Interrupted | undefined> {
  for (const folder of readdirSync(out)) {
    if (!folder.startsWith(generationPrefix)) continue;
    const checkpoint = readCheckpoint(join(out, folder));
    if (checkpoint?.source !== source) continue;
    if (await isWhole(join(out, folder), checkpoint)) return { folder, checkpoint };
  }
  return undefined;
}

/** Whether a folder holds an interrupted build. */
export function isInterrupted(folder: string): boolean {
  return readCheckpoint(folder) !== undefined;
}

/** Removes what an interrupted build wrote after its checkpoint. */
export function removeUnfinished(folder: string, { runs }: Checkpoint, files: OutputFiles): void {
  const kept = new Set<string>([checkpointName, fileNames.passages, ...runs.map(({ file }) => file)]);
  for (const name of readdirSync(folder)) if (!kept.has(name)) files.remove(join(folder, name));
}

function readCheckpoint(folder: string): Checkpoint | undefined {
  try {
    const { content, isWhole } = unsealed(readFileSync(join(folder, checkpointName), "utf8"));
    const { version, source, next, textBytes, runs } = content as unknown as Checkpoint & { version: number };
    return isWhole && version === checkpointVersion ? { source, next, textBytes, runs } : undefined;
  } catch {
    return undefined;
  }
}

async function isWhole(folder: string, { runs, textBytes }: Checkpoint): Promise<boolean> {
  try {
    if (statSync(join(folder, fileNames.passages)).size < textBytes) return false;
    for (const { file, seal } of runs) {
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(join(folder, file))) hash.update(chunk as Buffer);
      if (hash.digest("hex") !== seal.sha256) return false;
    }
    return true;
  } catch {
    return false;
  }
}
