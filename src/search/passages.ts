/** @file Where an index keeps the passages themselves: in memory, or in a file read by offset. */
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { Gate } from "../async.js";
import type { StoredPassage } from "../types.js";

export interface PassageSource {
  /** Passages are numbered from 0 to `count`, deleted ones too. */
  readonly count: number;
  isDeleted(number: number): boolean;
  /** The passages with these numbers, in this order. */
  read(numbers: readonly number[]): Promise<StoredPassage[]>;
  close(): Promise<void>;
}

export class PassagesInMemory implements PassageSource {
  readonly #passages: readonly StoredPassage[];

  constructor(passages: readonly StoredPassage[]) {
    this.#passages = passages;
  }

  get count(): number {
    return this.#passages.length;
  }

  isDeleted(): boolean {
    return false;
  }

  read(numbers: readonly number[]): Promise<StoredPassage[]> {
    return Promise.resolve(numbers.map((number) => this.#passages[number]));
  }

  async close(): Promise<void> {}
}

/** Thrown when a stored passage is not what was written. */
export class DamagedPassage extends Error {}

/** One JSON object per line; each line has its offset and its check number in typed arrays. */
export class PassageFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #offsets: Float64Array;
  readonly #checks: Uint32Array;

  private constructor(path: string, file: FileHandle, offsets: Float64Array, checks: Uint32Array) {
    this.#path = path;
    this.#file = file;
    this.#offsets = offsets;
    this.#checks = checks;
  }

  /** `offsets_N+1` in bytes. */
  static async open(path: string, offsets: Float64Array, checks: Uint32Array): Promise<PassageFile> {
    return new PassageFile(path, await open(path, "r"), offsets, checks);
  }

  get count(): number {
    return this.#checks.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** @throws DamagedPassage when the file no longer holds what was indexed. */
  async read(number: number): Promise<StoredPassage> {
    const start = this.#offsets[number];
    const line = Buffer.allocUnsafe(this.#offsets[number + 1] - start);
    const { bytesRead } = await this.#file.read(line, 0, line.length, start);
    if (bytesRead !== line.length || checkNumber(line) !== this.#checks[number])
      throw new DamagedPassage(`passage ${number} in ${this.#path} is damaged`);
    return JSON.parse(line.toString("utf8")) as StoredPassage;
  }
}

/**
 * Passages read at once. What was read is unpacked on the thread that asks, and whatever has arrived is unpacked without a pause: 64 passages
 * take about two milliseconds, the thousands of a busy moment would hold the thread up.
 */
const readAtOnce = 64;

/** The passages of several segments, one after another. */
export class SegmentedPassages implements PassageSource {
  readonly #files: readonly PassageFile[];
  readonly #deleted: readonly (Uint8Array | undefined)[];
  /** Number of each segment's first passage. */
  readonly #firsts: readonly number[];
  readonly #gate = new Gate(readAtOnce);
  readonly count: number;

  /** `deleted`: for each segment 1 for each deleted passage, or undefined. */
  constructor(files: readonly PassageFile[], deleted: readonly (Uint8Array | undefined)[]) {
    this.#files = files;
    this.#deleted = deleted;
    const firsts: number[] = [];
    let count = 0;
    for (const file of files) {
      firsts.push(count);
      count += file.count;
    }
    this.#firsts = firsts;
    this.count = count;
  }

  isDeleted(number: number): boolean {
    const segment = this.#segmentOf(number);
    return this.#deleted[segment]?.[number - this.#firsts[segment]] === 1;
  }

  /** @throws DamagedPassage when a file no longer holds what was indexed. */
  read(numbers: readonly number[]): Promise<StoredPassage[]> {
    return Promise.all(
      numbers.map((number) => {
        const segment = this.#segmentOf(number);
        return this.#gate.run(() => this.#files[segment].read(number - this.#firsts[segment]));
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }

  #segmentOf(number: number): number {
    return this.#firsts.findLastIndex((first) => first <= number);
  }
}

/** FNV-1a over bytes: enough to notice damage, cheap enough for every read. */
export function checkNumber(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < bytes.length; index++) hash = Math.imul(hash ^ bytes[index], 0x01000193);
  return hash >>> 0;
}
