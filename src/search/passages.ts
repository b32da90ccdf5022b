/** @file Where an index keeps the passages themselves: in memory, or in a file read by offset. */
import { readSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { Gate } from "../async.js";
import type { Passage, StoredPassage } from "../types.js";
import { withOrigin } from "./text/contents.js";

export interface PassageSource {
  /** Passages are numbered from 0 to `count`, deleted ones too. */
  readonly count: number;
  isDeleted(number: number): boolean;
  /** The passages with these numbers, in this order. */
  read(numbers: readonly number[]): Promise<StoredPassage[]>;
  /** Where other threads read them by themselves, until `close`; absent where only this one can. */
  readonly shared?: SharedPassages;
  close(): Promise<void>;
}

/** A passage and nothing else: the engine's own, whatever else the given object holds and becomes. */
export function storedPassage(passage: StoredPassage): StoredPassage {
  return withOrigin({ id: passage.id, title: passage.title, text: passage.text }, passage);
}

/** A passage with its score. */
export function scoredPassage(passage: StoredPassage, score: number): Passage {
  return withOrigin({ id: passage.id, title: passage.title, text: passage.text, score }, passage);
}

/** A passage as a line of JSONL, as indexes keep it; `url` and `section` only where it has them. */
export function passageLine({ id, title, text, url, section }: StoredPassage): string {
  const known = url === undefined && section === undefined;
  return JSON.stringify(known ? { id, title, text } : { id, title, text, url, section }) + "\n";
}

/** Passages read at once. */
const passagesAtOnce = 256;

/**
 * All passages that are not deleted, with their numbers, some at a time. `done`: numbers that are behind, of `count`.
 * @throws DamagedPassage; the signal's reason when it aborts
 */
export async function* allPassages(
  source: Pick<PassageSource, "count" | "isDeleted" | "read">,
  signal?: AbortSignal,
): AsyncGenerator<{ numbers: readonly number[]; passages: readonly StoredPassage[]; done: number }> {
  for (let first = 0; first < source.count; first += passagesAtOnce) {
    signal?.throwIfAborted();
    const done = Math.min(first + passagesAtOnce, source.count);
    const numbers: number[] = [];
    for (let number = first; number < done; number++) if (!source.isDeleted(number)) numbers.push(number);
    yield { numbers, passages: await source.read(numbers), done };
  }
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

/** A file of passages, one JSON object per line; each line has its offset (N + 1 of them, in bytes) and its check number. */
interface LineFile {
  path: string;
  /** The process's number of the open file. */
  fd: number;
  offsets: Float64Array;
  checks: Uint32Array;
}

/** Where passages lie, for other threads of this process: see `readPassages`. */
export type SharedPassages = readonly LineFile[];

export class PassageFile {
  readonly lines: LineFile;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, lines: LineFile) {
    this.#file = file;
    this.lines = lines;
  }

  /** `offsets_N+1` in bytes. */
  static async open(path: string, offsets: Float64Array, checks: Uint32Array): Promise<PassageFile> {
    const file = await open(path, "r");
    return new PassageFile(file, { path, fd: file.fd, offsets, checks });
  }

  get count(): number {
    return this.lines.checks.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** @throws DamagedPassage when the file no longer holds what was indexed. */
  async read(number: number): Promise<StoredPassage> {
    const { start, bytes } = placeOf(this.lines, number);
    const line = Buffer.allocUnsafe(bytes);
    const { bytesRead } = await this.#file.read(line, 0, bytes, start);
    return unpacked(this.lines, number, line.subarray(0, bytesRead));
  }
}

/**
 * Passages read at once and without a pause, for threads that may wait for a disk. The numbers run through the files. The caller
 * keeps them open meanwhile.
 * @throws DamagedPassage when a file no longer holds what was indexed.
 */
export function readPassages(files: SharedPassages, numbers: readonly number[]): StoredPassage[] {
  return numbers.map((number) => {
    let [file, own] = [0, number];
    while (own >= files[file].checks.length) own -= files[file++].checks.length;
    const { start, bytes } = placeOf(files[file], own);
    const line = Buffer.allocUnsafe(bytes);
    return unpacked(files[file], own, line.subarray(0, readSync(files[file].fd, line, 0, bytes, start)));
  });
}

function placeOf({ offsets }: LineFile, number: number): { start: number; bytes: number } {
  return { start: offsets[number], bytes: offsets[number + 1] - offsets[number] };
}

/** @throws DamagedPassage */
function unpacked(file: LineFile, number: number, line: Buffer): StoredPassage {
  if (line.length !== placeOf(file, number).bytes || checkNumber(line) !== file.checks[number])
    throw new DamagedPassage(`passage ${number} in ${file.path} is damaged`);
  return JSON.parse(line.toString("utf8")) as StoredPassage;
}

/**
 * Passages read at once. Passages are unpacked on the caller's thread, and whatever has arrived is unpacked without a pause: 64 passages
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

  get shared(): SharedPassages {
    return this.#files.map(({ lines }) => lines);
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
