/** @file A file written through a buffer, hashed on its way, and the same for numbers. */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import type { OutputFile } from "./disk.js";
import type { FileSeal } from "./checksummed-manifest.js";

const bufferBytes = 1 << 18;

/** Bytes. */
export class SealedFile {
  readonly #file: OutputFile;
  readonly #hash = createHash("sha256");
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  #filled = 0;
  bytes = 0;

  constructor(file: OutputFile) {
    this.#file = file;
  }

  /** Goes on with a file whose first `bytes` bytes, at `path`, are hashed anew. */
  static extending(file: OutputFile, path: string, bytes: number): SealedFile {
    const extended = new SealedFile(file);
    const source = openSync(path, "r");
    try {
      while (extended.bytes < bytes) {
        const piece = extended.#buffer.subarray(0, Math.min(bufferBytes, bytes - extended.bytes));
        const count = readSync(source, piece, 0, piece.length, extended.bytes);
        if (count === 0) throw new Error(`internal: ${path} ended early`);
        extended.#hash.update(piece.subarray(0, count));
        extended.bytes += count;
      }
    } finally {
      closeSync(source);
    }
    return extended;
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

  /** Puts the file on the disk. */
  finish(): FileSeal {
    this.flush();
    this.#file.finish();
    return { bytes: this.bytes, sha256: this.#hash.digest("hex") };
  }

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
}

export type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Writes any numbers to a file as little-endian elements of one kind. */
export class NumberWriter {
  readonly #file: SealedFile;
  readonly #buffer: Numbers;
  #filled = 0;

  constructor(file: SealedFile, kind: new (length: number) => Numbers) {
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

  finish(): FileSeal {
    this.#flush();
    return this.#file.finish();
  }

  #flush(): void {
    const { buffer } = this.#buffer;
    this.#file.write(new Uint8Array(buffer, 0, this.#filled * this.#buffer.BYTES_PER_ELEMENT));
    this.#filled = 0;
  }
}
