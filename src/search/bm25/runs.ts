/** @file Runs of postings on disk, and the merge that turns them into the index's posting files. */
import { closeSync, openSync, readSync } from "node:fs";
import type { OutputFiles } from "./files.js";
import type { Run } from "./inverter.js";
import type { NumberWriter } from "./sealed-file.js";

/** Numbers handed out in order. */
export interface NumberSource {
  /** Copies the next `count` numbers into `writer`. */
  copy(count: number, writer: NumberWriter): void;
  close(): void;
}

/** A run whose postings are read from front to back. */
export interface RunReader {
  counts: Uint32Array;
  passages: NumberSource;
  frequencies: NumberSource;
}

/** Numbers in memory. */
export class ArraySource implements NumberSource {
  private readonly values: Uint32Array;
  private at = 0;

  constructor(values: Uint32Array) {
    this.values = values;
  }

  copy(count: number, writer: NumberWriter): void {
    for (const end = this.at + count; this.at < end; this.at++) writer.put(this.values[this.at]);
  }

  close(): void {}
}

/** A stretch of a file of 32-bit numbers, read ahead 256 KiB at a time. */
class FileSource implements NumberSource {
  private readonly file: number;
  private readonly path: string;
  private readonly buffer = new Uint32Array(1 << 16);
  private position: number;
  private at = 0;
  private filled = 0;

  constructor(path: string, firstByte: number) {
    this.path = path;
    this.file = openSync(path, "r");
    this.position = firstByte;
  }

  copy(count: number, writer: NumberWriter): void {
    for (let index = 0; index < count; index++) {
      if (this.at === this.filled) this.fill();
      writer.put(this.buffer[this.at++]);
    }
  }

  close(): void {
    closeSync(this.file);
  }

  private fill(): void {
    const bytes = readSync(this.file, this.buffer, 0, this.buffer.byteLength, this.position);
    if (bytes < 4) throw new Error(`internal: ${this.path} ended early`);
    this.filled = bytes >>> 2;
    this.position += this.filled * 4;
    this.at = 0;
  }
}

export function readerInMemory(run: Run): RunReader {
  return { counts: run.counts, passages: new ArraySource(run.passages), frequencies: new ArraySource(run.frequencies) };
}

/** Writes a run to `path` (passages, then frequencies) and returns a reader; the counts stay in memory. */
export function spillRun(run: Run, path: string, files: OutputFiles): () => RunReader {
  const file = files.create(path);
  try {
    for (const part of [run.passages, run.frequencies])
      file.write(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  } catch (error) {
    file.abandon();
    throw error;
  }
  // Not synced to the disk's platters for its own sake: a run does not outlive the build.
  file.finish();
  const { counts } = run;
  const frequenciesStart = run.passages.byteLength;
  return () => ({ counts, passages: new FileSource(path, 0), frequencies: new FileSource(path, frequenciesStart) });
}

/** Sum of the runs' counts per term. */
export function totalCounts(runs: readonly { counts: Uint32Array }[], terms: number): Uint32Array {
  const totals = new Uint32Array(terms);
  for (const { counts } of runs) for (let term = 0; term < counts.length; term++) totals[term] += counts[term];
  return totals;
}

/**
 * Writes all postings, term by term. Runs hold ascending passages and follow one another, so taking them in order keeps
 * every term's passages ascending. Yields now and then, for other work on the thread.
 */
export function* mergeRuns(
  runs: readonly RunReader[],
  terms: number,
  passages: NumberWriter,
  frequencies: NumberWriter,
): Generator<void> {
  let copied = 0;
  for (let term = 0; term < terms; term++) {
    for (const run of runs) {
      const count = term < run.counts.length ? run.counts[term] : 0;
      if (count === 0) continue;
      run.passages.copy(count, passages);
      run.frequencies.copy(count, frequencies);
      copied += count;
    }
    if (copied < 500_000) continue;
    copied = 0;
    yield;
  }
}
