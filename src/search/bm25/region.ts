/** @file Arrays that merging reads from front to back, wherever they lie: in memory, in a file, in a stretch of a file. */
import { closeSync, openSync } from "node:fs";
import { readIntoSync } from "../../files/read-into.js";
import type { Frequencies } from "./snapshot.js";

/** Bytes that can be read from any place. */
export interface Region {
  /** For messages. */
  readonly name: string;
  readonly bytes: number;
  /** Fills `into` with what stands from `position` on. */
  read(into: Uint8Array, position: number): void;
}

/** An array in memory. */
export function memoryRegion(values: ArrayBufferView): Region {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return {
    name: "memory",
    bytes: bytes.length,
    read: (into, position) => into.set(bytes.subarray(position, position + into.length)),
  };
}

/** A file that holds several arrays, or one. Its regions share the open file. */
export class OpenedFile {
  readonly #path: string;
  #file: number | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "r");
  }

  region(start: number, bytes: number): Region {
    return {
      name: this.#path,
      bytes,
      read: (into, position) => this.#read(into, start + position),
    };
  }

  /** Closes the file, if it is open: its regions cannot be read any more. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #read(into: Uint8Array, position: number): void {
    if (this.#file === undefined) throw new Error(`internal: ${this.#path} is closed`);
    readIntoSync(this.#file, into, position, () => new Error(`internal: ${this.#path} ended early`));
  }
}

/** For reading from front to back. */
const windowBytes = 1 << 16;
/** For looking things up here and there. */
export const lookupBytes = 1 << 12;

type Numbers = Frequencies | Float64Array;

/** Numbers of a region, by index; fast when the indexes ascend. */
export class NumberReader {
  readonly #region: Region;
  readonly #window: Numbers;
  readonly #view: Uint8Array;
  readonly #size: number;
  #start = 0;
  #end = 0;

  /** `bytes`: how much is read at a time. */
  constructor(region: Region, kind: new (length: number) => Numbers, bytes = windowBytes) {
    this.#region = region;
    const size = new kind(0).BYTES_PER_ELEMENT;
    this.#window = new kind(Math.ceil(Math.min(bytes, region.bytes) / size));
    this.#view = new Uint8Array(this.#window.buffer);
    this.#size = this.#window.BYTES_PER_ELEMENT;
  }

  at(index: number): number {
    if (index < this.#start || index >= this.#end) this.#load(index);
    return this.#window[index - this.#start];
  }

  #load(index: number): void {
    const position = index * this.#size;
    const bytes = Math.min(this.#view.length, this.#region.bytes - position);
    if (bytes <= 0) throw new Error(`internal: ${this.#region.name} has no element ${index}`);
    this.#region.read(this.#view.subarray(0, bytes), position);
    this.#start = index;
    this.#end = index + bytes / this.#size;
  }
}

/** Pieces of a region of bytes; fast when they ascend. */
export class ByteReader {
  readonly #region: Region;
  #window: Buffer;
  #start = 0;
  #end = 0;

  /** `bytes`: how much is read at a time; more where a piece is longer. */
  constructor(region: Region, bytes = windowBytes) {
    this.#region = region;
    this.#window = Buffer.alloc(Math.min(bytes, region.bytes));
  }

  /** The bytes from `start` to `end`: valid until the next call. */
  slice(start: number, end: number): Uint8Array {
    if (start < this.#start || end > this.#end) this.#load(start, end);
    return this.#window.subarray(start - this.#start, end - this.#start);
  }

  /** The text that the bytes from `start` to `end` are in UTF-8. */
  text(start: number, end: number): string {
    if (start < this.#start || end > this.#end) this.#load(start, end);
    return this.#window.toString("utf8", start - this.#start, end - this.#start);
  }

  #load(start: number, end: number): void {
    if (end > this.#region.bytes) throw new Error(`internal: ${this.#region.name} has no byte ${end}`);
    if (end - start > this.#window.length) this.#window = Buffer.alloc(end - start);
    const bytes = Math.min(this.#window.length, this.#region.bytes - start);
    this.#region.read(this.#window.subarray(0, bytes), start);
    this.#start = start;
    this.#end = start + bytes;
  }
}
