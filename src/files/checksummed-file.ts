/**
 * @file Files with checksums: written through a buffer and hashed on the way, and read again with a look at whether they are what was written.
 */
import { createHash } from "node:crypto";
import { closeSync, createReadStream, openSync, readFileSync, readSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { z } from "zod";
import type { UserError } from "../errors.js";
import { OutputFile } from "./disk.js";

/** What a file was when it was written. */
export interface FileChecksum {
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** What a file must be like that records checksums. */
export const checksumSchema = z.object({
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "no SHA-256"),
});

const bufferBytes = 1 << 18;

/** A file being written, with its hash. */
export class ChecksummedFile {
  readonly #file: OutputFile;
  readonly #hash = createHash("sha256");
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  #filled = 0;
  /** Written so far. */
  bytes = 0;

  private constructor(file: OutputFile) {
    this.#file = file;
  }

  /** A new file; one that is there is an error. */
  static create(path: string): ChecksummedFile {
    return new ChecksummedFile(OutputFile.create(path));
  }

  /** Goes on behind the first `bytes` bytes of a file, which are read and hashed anew. */
  static extend(path: string, bytes: number): ChecksummedFile {
    const file = new ChecksummedFile(OutputFile.extend(path, bytes));
    try {
      file.#rehash(path, bytes);
    } catch (error) {
      file.abandon();
      throw error;
    }
    return file;
  }

  write(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (this.#filled + bytes.length > bufferBytes) this.flush();
    if (bytes.length > bufferBytes) {
      this.#send(bytes);
    } else {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
  }

  /** Puts what was written so far on the disk. */
  sync(): void {
    this.flush();
    this.#file.sync();
  }

  /** Puts the file on the disk and closes it. */
  finish(): FileChecksum {
    this.flush();
    this.#file.finish();
    return { bytes: this.bytes, sha256: this.#hash.digest("hex") };
  }

  /** Closes the file, if it is open, without caring for its content. */
  abandon(): void {
    this.#file.abandon();
  }

  /** Hands everything to the file, so that it can be read back. */
  flush(): void {
    if (this.#filled > 0) this.#send(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #send(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#file.write(bytes);
  }

  #rehash(path: string, bytes: number): void {
    const source = openSync(path, "r");
    try {
      while (this.bytes < bytes) {
        const piece = this.#buffer.subarray(0, Math.min(bufferBytes, bytes - this.bytes));
        const count = readSync(source, piece, 0, piece.length, this.bytes);
        if (count === 0) throw new Error(`internal: ${path} ended early`);
        this.#hash.update(piece.subarray(0, count));
        this.bytes += count;
      }
    } finally {
      closeSync(source);
    }
  }
}

export type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Writes any numbers to a file as little-endian elements of one kind. */
export class NumberWriter {
  readonly #file: ChecksummedFile;
  readonly #buffer: Numbers;
  #filled = 0;

  constructor(file: ChecksummedFile, kind: new (length: number) => Numbers) {
    this.#file = file;
    this.#buffer = new kind(1 << 13);
  }

  put(value: number): void {
    if (this.#filled === this.#buffer.length) this.#flush();
    this.#buffer[this.#filled++] = value;
  }

  putAll(values: Iterable<number>): this {
    for (const value of values) this.put(value);
    return this;
  }

  finish(): FileChecksum {
    this.#flush();
    return this.#file.finish();
  }

  abandon(): void {
    this.#file.abandon();
  }

  #flush(): void {
    const { buffer } = this.#buffer;
    this.#file.write(new Uint8Array(buffer, 0, this.#filled * this.#buffer.BYTES_PER_ELEMENT));
    this.#filled = 0;
  }
}

/** Node reads at most 2 GiB at once; small pieces let other work on the thread in between: hashing one takes about 2 ms. */
const pieceBytes = 4 * 1024 * 1024;
const smallBytes = 64 * 1024;

/** Makes the error of a file that is not what was written. */
export type Damaged = (path: string, why: string, cause?: unknown) => UserError;

/**
 * A whole file, in memory that threads can share.
 * @throws what `damaged` makes, when it is not what was written
 */
export async function readChecksummed(
  path: string,
  checksum: FileChecksum,
  damaged: Damaged,
): Promise<SharedArrayBuffer> {
  const memory = new SharedArrayBuffer(checksum.bytes);
  const content = new Uint8Array(memory);
  if (checksum.bytes <= smallBytes) {
    content.set(readSmall(path, checksum, damaged));
    return memory;
  }
  await checkSize(path, checksum.bytes, damaged);
  const hash = createHash("sha256");
  const file = await open(path, "r");
  try {
    for (let done = 0; done < checksum.bytes;) {
      const { bytesRead } = await file.read(content, done, Math.min(pieceBytes, checksum.bytes - done), done);
      if (bytesRead === 0) throw damaged(path, "it ends early");
      hash.update(content.subarray(done, done + bytesRead));
      done += bytesRead;
    }
  } finally {
    await file.close();
  }
  if (hash.digest("hex") !== checksum.sha256) throw damaged(path, hasChanged);
  return memory;
}

/** @throws what `damaged` makes, when a file is not what was written */
export async function verifyFile(path: string, checksum: FileChecksum, damaged: Damaged): Promise<void> {
  if (checksum.bytes <= smallBytes) {
    readSmall(path, checksum, damaged);
    return;
  }
  await checkSize(path, checksum.bytes, damaged);
  if ((await sha256OfFile(path)) !== checksum.sha256) throw damaged(path, hasChanged);
}

/** Hexadecimal. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/** @throws what `damaged` makes, when a file is missing or has another size than was written */
export async function checkSize(path: string, bytes: number, damaged: Damaged): Promise<void> {
  const { size } = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw damaged(path, `it cannot be read (${cause.code})`, cause);
  });
  if (size !== bytes) throw damaged(path, hasResized(size, bytes));
}

/** A small file at once: to wait for another thread would take longer. */
function readSmall(path: string, checksum: FileChecksum, damaged: Damaged): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (cause) {
    throw damaged(path, `it cannot be read (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
  if (content.length !== checksum.bytes) throw damaged(path, hasResized(content.length, checksum.bytes));
  if (createHash("sha256").update(content).digest("hex") !== checksum.sha256) throw damaged(path, hasChanged);
  return content;
}

const hasChanged = "its content has changed";

function hasResized(size: number, bytes: number): string {
  return `it has ${size} bytes where ${bytes} were written`;
}
