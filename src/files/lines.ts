/** @file Lines of a file, streamed as bytes: plain or gzip, any size, with the place of each for error messages. */
import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../errors.js";
import { packedProblem } from "./packed.js";
import { requireRegular } from "./regular.js";

export interface Line {
  text: string;
  /** From 1. */
  number: number;
  /** Why the line cannot be read, where such lines are kept (`keepsMalformed`); its text is empty then. */
  problem?: UserError;
}

/** A longer line is taken for a file that is not one record per line. */
const maxLineBytes = 64 * 1024 * 1024;
const chunkBytes = 256 * 1024;
const lineFeed = 10;

interface LinesOptions {
  signal?: AbortSignal;
  /** Bytes of the file read since the last call (compressed bytes for .gz). */
  onBytes?: (bytes: number) => void;
  /** A line that is not UTF-8 comes with its `problem` instead of ending everything. */
  keepsMalformed?: boolean;
}

/** Whole lines of a file, as they stand. */
export interface LineBlock {
  bytes: Uint8Array;
  /** Number of its first line, from 1. */
  firstLine: number;
  /** Where the next block begins. */
  next: LinePlace;
}

/** A place between two lines. */
interface LinePlace {
  /** Bytes before it (of the unpacked content for .gz). */
  byte: number;
  /** Number of the line that begins there, from 1. */
  line: number;
}

interface BlockOptions extends LinesOptions {
  /** Bytes of a block; a line that is longer makes a longer one. Default: 256 KiB. */
  blockBytes?: number;
}

/**
 * The lines of a file in batches of about 256 KiB, without their line breaks; empty lines are left out but counted.
 * @throws UserError for a file that cannot be read, is not UTF-8, is cut off (gzip), is packed otherwise, or has a line above 64 MiB.
 */
export async function* readLines(path: string, options: LinesOptions = {}): AsyncGenerator<Line[]> {
  for await (const block of readLineBlocks(path, options)) {
    const lines = [...linesOf(path, block, options)];
    if (lines.length > 0) yield lines;
  }
}

/**
 * A file cut between lines. Every block has a buffer of its own, which may be handed to a worker.
 * @throws UserError for a file that cannot be read, is a pipe or a device, is cut off (gzip), is packed otherwise, or has a line above 64 MiB.
 */
export async function* readLineBlocks(path: string, options: BlockOptions = {}): AsyncGenerator<LineBlock> {
  const { blockBytes = chunkBytes, signal } = options;
  await requireRegular(path);
  const cutter = new BlockCutter(path, blockBytes);
  const stream = openBytes(path, options);
  try {
    let isFirst = true;
    for await (const chunk of stream) {
      signal?.throwIfAborted();
      if (isFirst) refusePacked(path, chunk as Buffer);
      isFirst = false;
      yield* cutter.push(chunk as Buffer);
    }
  } catch (error) {
    throw readError(path, error);
  } finally {
    stream.destroy();
  }
  yield* cutter.end();
}

/**
 * The lines of a block, without their breaks; empty ones are left out but counted.
 * @throws UserError for a line that is not UTF-8, unless such lines are kept
 */
export function* linesOf(
  path: string,
  { bytes, firstLine }: Pick<LineBlock, "bytes" | "firstLine">,
  { keepsMalformed = false }: Pick<LinesOptions, "keepsMalformed"> = {},
): Generator<Line> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWellFormed = isUtf8(buffer);
  let number = firstLine;
  for (let start = 0; start < buffer.length; number++) {
    const found = buffer.indexOf(lineFeed, start);
    const end = found < 0 ? buffer.length : found;
    if (!isWellFormed && !isUtf8(buffer.subarray(start, end))) {
      const problem = new UserError(
        `${path}:${number}: the line is not UTF-8. Convert the file, for example with \`iconv -t utf-8\`.`,
      );
      if (!keepsMalformed) throw problem;
      yield { text: "", number, problem };
      start = end + 1;
      continue;
    }
    const line = buffer.toString("utf8", start, end);
    // Only the first line can carry a byte-order mark.
    const text = (number === 1 ? line.replace(/^\ufeff/, "") : line).trim();
    if (text !== "") yield { text, number };
    start = end + 1;
  }
}

/**
 * The JSON object of a line of JSONL.
 * @param place file and line, for messages
 * @param shape a sentence that shows what a line looks like
 * @throws UserError naming the place
 */
export function parseRecord(place: string, text: string, shape: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${place}: the line is not JSON (${(cause as Error).message}). ${shape}`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new UserError(`${place}: the line must be a JSON object, got ${kindOf(value)}. ${shape}`);
  return value as Record<string, unknown>;
}

/** Records as lines of JSON, each with its line break. */
export function toJsonLines(records: readonly object[]): string {
  return records.map((record) => JSON.stringify(record) + "\n").join("");
}

/**
 * The values of lines of JSON that a process appended one after another; empty lines are left out. A line that is no JSON is undefined: a
 * process that died while it wrote leaves such a last line.
 */
export function parseJsonLines(text: string): unknown[] {
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line): unknown => {
    try {
      return JSON.parse(line);
    } catch {
      return undefined;
    }
  });
}

/** What a value is, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === "") return "an empty string";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function refusePacked(path: string, beginning: Buffer): void {
  const problem = packedProblem(beginning);
  if (problem !== undefined)
    throw new UserError(`${path} ${problem}. Files of lines are read plain, or as gzip where they end with .gz.`);
}

/** The bytes of a file, unpacked. */
function openBytes(path: string, { onBytes }: LinesOptions): Readable {
  const file = createReadStream(path, { highWaterMark: chunkBytes });
  if (onBytes !== undefined) file.on("data", (chunk) => onBytes(chunk.length));
  if (!path.endsWith(".gz")) return file;
  const unzipped = createGunzip({ chunkSize: chunkBytes });
  file.on("error", (error) => unzipped.destroy(error));
  // A pipe whose end was given up keeps its beginning open.
  unzipped.on("close", () => file.destroy());
  return file.pipe(unzipped);
}

/** Gathers chunks into blocks of whole lines. */
class BlockCutter {
  readonly #path: string;
  readonly #blockBytes: number;
  #block: Buffer;
  #filled = 0;
  #place: LinePlace = { byte: 0, line: 1 };

  constructor(path: string, blockBytes: number) {
    this.#path = path;
    this.#blockBytes = blockBytes;
    this.#block = Buffer.from(new ArrayBuffer(blockBytes));
  }

  *push(chunk: Buffer): Generator<LineBlock> {
    for (let done = 0; done < chunk.length;) {
      if (this.#filled === this.#block.length) yield* this.#cut();
      const count = Math.min(chunk.length - done, this.#block.length - this.#filled);
      chunk.copy(this.#block, this.#filled, done, done + count);
      this.#filled += count;
      done += count;
    }
  }

  *end(): Generator<LineBlock> {
    if (this.#filled > 0) yield this.#take(this.#filled);
  }

  /** Makes room: gives the whole lines away, or grows where a block holds no whole line. */
  *#cut(): Generator<LineBlock> {
    const end = this.#block.lastIndexOf(lineFeed, this.#filled - 1) + 1;
    if (end > 0) {
      yield this.#take(end);
      return;
    }
    if (this.#filled > maxLineBytes)
      throw new UserError(
        `${this.#path}:${this.#place.line}: the line is longer than 64 MiB. Is the file JSONL, with one JSON object per line?`,
      );
    const grown = Buffer.from(new ArrayBuffer(this.#block.length * 2));
    this.#block.copy(grown, 0, 0, this.#filled);
    this.#block = grown;
  }

  #take(end: number): LineBlock {
    const whole = this.#block;
    const rest = whole.subarray(end, this.#filled);
    this.#block = Buffer.from(new ArrayBuffer(Math.max(this.#blockBytes, rest.length * 2)));
    rest.copy(this.#block);
    this.#filled = rest.length;
    const bytes = whole.subarray(0, end);
    const { byte, line } = this.#place;
    this.#place = { byte: byte + end, line: line + linesIn(bytes) };
    return { bytes, firstLine: line, next: this.#place };
  }
}

/** The last line may lack its break. */
function linesIn(bytes: Buffer): number {
  let count = bytes.at(-1) === lineFeed ? 0 : 1;
  for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) count++;
  return count;
}

function readError(path: string, error: unknown): unknown {
  if (error instanceof UserError || !(error instanceof Error)) return error;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (code === "ENOENT") return new UserError(`${path} does not exist. Check the path.`, { cause: error });
  if (code === "EISDIR") return new UserError(`${path} is a folder; name a JSONL file.`, { cause: error });
  if (code === "EACCES" || code === "EPERM")
    return new UserError(`${path} may not be read: ${error.message}.`, { cause: error });
  if (code === "Z_BUF_ERROR" || code === "Z_DATA_ERROR")
    return new UserError(`${path} is not a whole gzip file (${error.message}). Download it again.`, { cause: error });
  return error;
}
