/** @file Lines of a file, streamed as bytes: plain or gzip, any size, with the place of each for error messages. */
import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../errors.js";

export interface Line {
  text: string;
  /** From 1. */
  number: number;
}

/** A longer line is taken for a file that is not one record per line. */
const maxLineBytes = 64 * 1024 * 1024;
const chunkBytes = 256 * 1024;
const lineFeed = 10;

export interface LinesOptions {
  signal?: AbortSignal;
  /** Bytes of the file read since the last call (compressed bytes for .gz). */
  onBytes?: (bytes: number) => void;
}

/**
 * The lines of a file in batches of about 256 KiB, without their line breaks; empty lines are left out but counted.
 * @throws UserError for a file that cannot be read, is not UTF-8, is cut off (gzip) or has a line above 64 MiB.
 */
export async function* readLines(path: string, options: LinesOptions = {}): AsyncGenerator<Line[]> {
  const cutter = new LineCutter(path);
  const stream = openBytes(path, options);
  try {
    for await (const chunk of stream) {
      options.signal?.throwIfAborted();
      const lines = cutter.push(chunk as Buffer);
      if (lines.length > 0) yield lines;
    }
  } catch (error) {
    throw readError(path, error);
  } finally {
    stream.destroy();
  }
  const last = cutter.end();
  if (last.length > 0) yield last;
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

/** What a value is, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === "") return "an empty string";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function openBytes(path: string, { onBytes }: LinesOptions): Readable {
  const file = createReadStream(path, { highWaterMark: chunkBytes });
  if (onBytes !== undefined) file.on("data", (chunk) => onBytes(chunk.length));
  if (!path.endsWith(".gz")) return file;
  const unzipped = createGunzip({ chunkSize: chunkBytes });
  file.on("error", (error) => unzipped.destroy(error));
  return file.pipe(unzipped);
}

/** Cuts chunks into lines; holds the unfinished one. */
class LineCutter {
  private readonly path: string;
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private number = 0;

  constructor(path: string) {
    this.path = path;
  }

  push(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      this.finish(chunk.subarray(start, end), lines);
      start = end + 1;
    }
    if (start < chunk.length) this.hold(chunk.subarray(start));
    return lines;
  }

  end(): Line[] {
    const lines: Line[] = [];
    if (this.pendingBytes > 0) this.finish(Buffer.alloc(0), lines);
    return lines;
  }

  private hold(bytes: Buffer): void {
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
    if (this.pendingBytes > maxLineBytes)
      throw new UserError(
        `${this.path}:${this.number + 1}: the line is longer than 64 MiB. Is the file JSONL, with one JSON object per line?`,
      );
  }

  private finish(tail: Buffer, lines: Line[]): void {
    const bytes = this.pending.length > 0 ? Buffer.concat([...this.pending, tail]) : tail;
    this.pending = [];
    this.pendingBytes = 0;
    this.number++;
    if (!isUtf8(bytes))
      throw new UserError(
        `${this.path}:${this.number}: the line is not UTF-8. Convert the file, for example with \`iconv -t utf-8\`.`,
      );
    // Only the first line can carry a byte-order mark.
    const text = (this.number === 1 ? bytes.toString("utf8").replace(/^\ufeff/, "") : bytes.toString("utf8")).trim();
    if (text !== "") lines.push({ text, number: this.number });
  }
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
