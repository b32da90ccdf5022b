/** @file Opens an index folder: typed arrays read whole, passages left on disk. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { Bm25Engine } from "./engine.js";
import { damaged, fileNames, readManifest } from "./format.js";
import type { FileName, Manifest } from "./format.js";
import { PassageFile } from "./passages.js";
import { checkRanking } from "./settings.js";
import type { Bm25Settings } from "./settings.js";
import type { Bm25Snapshot, Segment } from "./snapshot.js";

/** Node reads at most 2 GiB at once; smaller pieces let other work on the thread in between. */
const pieceBytes = 16 * 1024 * 1024;

/**
 * Opens an index for searching. `k1` and `b` may differ from those it was built with; the analyzer may not.
 * Every file's size and the hash of every file held in memory are checked; passages are checked as they are read.
 * @throws UserError naming the file when the index is missing, half-written, truncated, damaged or of another version.
 */
export async function openIndex(
  folder: string,
  ranking: Partial<Pick<Bm25Settings, "k1" | "b">> = {},
): Promise<Bm25Engine> {
  const manifest = await readManifest(folder);
  const { k1, b } = { k1: manifest.k1, b: manifest.b, ...ranking };
  checkRanking(k1, b);
  try {
    return await openGeneration(folder, manifest, k1, b);
  } catch (error) {
    // A new index may have taken the place of this one between its manifest and its files.
    const current = await readManifest(folder);
    if (current.generation === manifest.generation) throw error;
    return openGeneration(folder, current, k1, b);
  }
}

/**
 * Reads every byte of an index, passages included.
 * @throws UserError naming the first file that is not as it was written.
 */
export async function verifyIndex(folder: string): Promise<void> {
  const manifest = await readManifest(folder);
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const path = join(folder, manifest.generation, name);
    await checkSize(folder, path, bytes);
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    if (hash.digest("hex") !== sha256) throw damaged(path, "its content has changed", folder);
  }
}

async function openGeneration(folder: string, manifest: Manifest, k1: number, b: number): Promise<Bm25Engine> {
  const pathOf = (name: FileName): string => join(folder, manifest.generation, name);
  const read = (name: FileName): Promise<ArrayBuffer> =>
    readSealed(folder, pathOf(name), manifest.files[name].bytes, manifest.files[name].sha256);
  await checkSize(folder, pathOf(fileNames.passages), manifest.files[fileNames.passages].bytes);
  const frequencyKind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[manifest.frequencyBytes];
  if (frequencyKind === undefined) throw new Error(`internal: frequencies of ${manifest.frequencyBytes} bytes`);
  const segment: Segment = {
    firstPassage: 0,
    terms: {
      text: new Uint8Array(await read(fileNames.terms)),
      offsets: new Uint32Array(await read(fileNames.termOffsets)),
      numbers: new Uint32Array(await read(fileNames.termNumbers)),
    },
    lengths: new Uint32Array(await read(fileNames.lengths)),
    postingOffsets: new Uint32Array(await read(fileNames.postingOffsets)),
    postingPassages: new Uint32Array(await read(fileNames.postingPassages)),
    postingFrequencies: new frequencyKind(await read(fileNames.postingFrequencies)),
  };
  const offsets = new Float64Array(await read(fileNames.passageOffsets));
  const checks = new Uint32Array(await read(fileNames.passageChecks));
  const passages = await PassageFile.open(pathOf(fileNames.passages), offsets, checks);
  const snapshot: Bm25Snapshot = {
    analyzer: manifest.analyzer,
    k1,
    b,
    segments: [segment],
    passages: manifest.passages,
    totalLength: manifest.totalLength,
    deletedFrequencies: new Map(),
  };
  return Bm25Engine.fromSnapshot(snapshot, passages);
}

async function readSealed(folder: string, path: string, bytes: number, sha256: string): Promise<ArrayBuffer> {
  await checkSize(folder, path, bytes);
  const content = new Uint8Array(bytes);
  const hash = createHash("sha256");
  const file = await open(path, "r");
  try {
    for (let done = 0; done < bytes;) {
      const { bytesRead } = await file.read(content, done, Math.min(pieceBytes, bytes - done), done);
      if (bytesRead === 0) throw damaged(path, "it ends early", folder);
      hash.update(content.subarray(done, done + bytesRead));
      done += bytesRead;
    }
  } finally {
    await file.close();
  }
  if (hash.digest("hex") !== sha256) throw damaged(path, "its content has changed", folder);
  return content.buffer;
}

async function checkSize(folder: string, path: string, bytes: number): Promise<void> {
  let size: number;
  try {
    ({ size } = await stat(path));
  } catch (cause) {
    throw damaged(path, `it cannot be read (${(cause as NodeJS.ErrnoException).code})`, folder, cause);
  }
  if (size !== bytes) throw damaged(path, `it has ${size} bytes where ${bytes} were written`, folder);
}
