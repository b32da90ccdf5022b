/** @file A file written through a buffer, hashed on its way, and the same for numbers. */
import { createHash } from "node:crypto";
import type { OutputFile } from "./files.js";
import type { FileSeal } from "./format.js";

const bufferBytes = 1 << 18;

/** Bytes. */
export class SealedFile {
  private readonly file: OutputFile;
  private readonly hash = createHash("sha256");
  private readonly buffer = Buffer.allocUnsafe(bufferBytes);
  private filled = 0;
  bytes = 0;

  constructor(file: OutputFile) {
    this.file = file;
  }

  write(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (this.filled + bytes.length > bufferBytes) this.flush();
    if (bytes.length > bufferBytes) {
      this.send(bytes);
    } else {
      this.buffer.set(bytes, this.filled);
      this.filled += bytes.length;
    }
  }

  /** Puts the file on the disk. */
  finish(): FileSeal {
    this.flush();
    this.file.finish();
    return { bytes: this.bytes, sha256: this.hash.digest("hex") };
  }

  abandon(): void {
    this.file.abandon();
  }

  private flush(): void {
    if (this.filled > 0) this.send(this.buffer.subarray(0, this.filled));
    this.filled = 0;
  }

  private send(bytes: Uint8Array): void {
    this.hash.update(bytes);
    this.file.write(bytes);
  }
}

type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Writes any numbers to a file as little-endian elements of one kind. */
export class NumberWriter {
  private readonly file: SealedFile;
  private readonly buffer: Numbers;
  private filled = 0;

  constructor(file: SealedFile, kind: new (length: number) => Numbers) {
    this.file = file;
    this.buffer = new kind(1 << 13);
  }

  put(value: number): void {
    if (this.filled === this.buffer.length) this.flush();
    this.buffer[this.filled++] = value;
  }

  putAll(values: Iterable<number>): this {
    for (const value of values) this.put(value);
    return this;
  }

  finish(): FileSeal {
    this.flush();
    return this.file.finish();
  }

  private flush(): void {
    const { buffer } = this.buffer;
    this.file.write(new Uint8Array(buffer, 0, this.filled * this.buffer.BYTES_PER_ELEMENT));
    this.filled = 0;
  }
}
