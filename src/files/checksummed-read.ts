/** @file Reading what was written, and noticing when it is not that. */
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { UserError } from "../errors.js";
import type { FileSeal } from "./checksummed-manifest.js";

/** Node reads at most 2 GiB at once; small pieces let other work on the thread in between: hashing one takes about 2 ms. */
const pieceBytes = 4 * 1024 * 1024;
const smallBytes = 64 * 1024;

/**
 * A whole file, in memory that threads can share.
 * @throws UserError when it is not what was written
 */
export async function readSealed(folder: string, path: string, seal: FileSeal): Promise<SharedArrayBuffer> {
  const memory = new SharedArrayBuffer(seal.bytes);
  const content = new Uint8Array(memory);
  if (seal.bytes <= smallBytes) {
    content.set(readSmall(folder, path, seal));
    return memory;
  }
  await checkSize(folder, path, seal.bytes);
  const hash = createHash("sha256");
  const file = await open(path, "r");
  try {
    for (let done = 0; done < seal.bytes;) {
      const { bytesRead } = await file.read(content, done, Math.min(pieceBytes, seal.bytes - done), done);
      if (bytesRead === 0) throw damaged(path, "it ends early", folder);
      hash.update(content.subarray(done, done + bytesRead));
      done += bytesRead;
    }
  } finally {
    await file.close();
  }
  if (hash.digest("hex") !== seal.sha256) throw damaged(path, "its content has changed", folder);
  return memory;
}

/** @throws UserError when a file is not what was written */
export async function verifyFile(folder: string, path: string, seal: FileSeal): Promise<void> {
  if (seal.bytes <= smallBytes) {
    readSmall(folder, path, seal);
    return;
  }
  await checkSize(folder, path, seal.bytes);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  if (hash.digest("hex") !== seal.sha256) throw damaged(path, "its content has changed", folder);
}

/** A small file at once: to wait for another thread would take longer. */
function readSmall(folder: string, path: string, seal: FileSeal): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    throw unreadable(folder, path, cause);
  }
  if (content.length !== seal.bytes) throw resized(folder, path, content.length, seal.bytes);
  if (createHash("sha256").update(content).digest("hex") !== seal.sha256)
    throw damaged(path, "its content has changed", folder);
  return content;
}

/** @throws UserError when a file is missing or has another size than was written */
export async function checkSize(folder: string, path: string, bytes: number): Promise<void> {
  let size: number;
  try {
    ({ size } = await stat(path));
  } catch (cause) {
    throw unreadable(folder, path, cause);
  }
  if (size !== bytes) throw resized(folder, path, size, bytes);
}

function unreadable(folder: string, path: string, cause: unknown): Error {
  return damaged(path, `it cannot be read (${(cause as NodeJS.ErrnoException).code})`, folder, cause);
}

function resized(folder: string, path: string, size: number, bytes: number): Error {
  return damaged(path, `it has ${size} bytes where ${bytes} were written`, folder);
}

/** The error of a file that is not what was written. */
export function damaged(path: string, why: string, folder: string, cause?: unknown): UserError {
  return new UserError(`The search index is damaged: ${path}: ${why}. ${remedy(folder)}`, { cause });
}

export function remedy(folder: string): string {
  return `Build it with \`sleuth index CORPUS.jsonl --out ${folder}\`.`;
}
