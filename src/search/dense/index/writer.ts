/**
 * @file Writes one generation of a dense index, row by row, so that what was committed survives everything: its progress is written after every
 * commit, and read by the build that goes on.
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { remove, syncFolder, replaceFile } from "../../../files/disk.js";
import { checkNumber, passageLine } from "../../passages.js";
import { ChecksummedFile, NumberWriter } from "../../../files/checksummed-file.js";
import type { FileChecksum } from "../../../files/checksummed-file.js";
import { fileNames, type FileName, progressName } from "./format.js";
import type { LeftOut } from "../left-out.js";
import type { StoredPassage } from "../../../types.js";
import { generationPrefix, manifestName } from "../../index-folder.js";

/** A passage as it stands in the file. */
export interface Line {
  bytes: Buffer;
  check: number;
}

export function lineOf(passage: StoredPassage): Line {
  const bytes = Buffer.from(passageLine(passage));
  return { bytes, check: checkNumber(bytes) };
}

/** Takes rows in order, then `finish`. After an error, `abandon`: what was committed stays. */
export class DenseWriter {
  readonly #folder: string;
  readonly #passages: ChecksummedFile;
  readonly #vectors: ChecksummedFile;
  /** Byte offsets and check numbers of the lines, those of an earlier build included. */
  readonly #offsets: number[] = [0];
  readonly #checks: number[] = [];
  #digest = firstDigest;

  /** @param done what an earlier build had committed; its lines are then told with `skip`, in order */
  constructor(folder: string, done?: Progress) {
    this.#folder = folder;
    const open = (name: FileName, bytes: number): ChecksummedFile =>
      done === undefined ? ChecksummedFile.create(this.#place(name)) : ChecksummedFile.extend(this.#place(name), bytes);
    this.#passages = open(fileNames.passages, done?.passageBytes ?? 0);
    try {
      const rowBytes = (done?.dimensions ?? 0) * Float32Array.BYTES_PER_ELEMENT;
      this.#vectors = open(fileNames.vectors, (done?.rows ?? 0) * rowBytes);
    } catch (error) {
      this.#passages.abandon();
      throw error;
    }
  }

  get rows(): number {
    return this.#checks.length;
  }

  /** A passage that an earlier build wrote. */
  skip({ bytes, check }: Line): void {
    this.#offsets.push(this.#offsets[this.#offsets.length - 1] + bytes.length);
    this.#checks.push(check);
    this.#digest = digestWith(this.#digest, check);
  }

  /** Whether the lines skipped so far are those that were written. */
  matches({ rows, passageBytes, digest }: Progress): boolean {
    return this.rows === rows && this.#offsets[rows] === passageBytes && this.#digest === digest;
  }

  /** A new passage; its vector follows with `addVectors`. */
  add(line: Line): void {
    this.#passages.write(line.bytes);
    this.skip(line);
  }

  addVectors(vectors: Float32Array): void {
    this.#vectors.write(new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength));
  }

  /**
   * Makes durable what was written so far: as many vectors as passages.
   * @param leftOut of the passages read so far
   */
  commit(encoder: string, dimensions: number, leftOut: readonly LeftOut[] = []): void {
    this.#passages.sync();
    this.#vectors.sync();
    const rows = this.rows;
    const [passageBytes, digest] = [this.#offsets[rows], this.#digest];
    const progress: Progress = { encoder, dimensions, rows, passageBytes, digest, leftOut: [...leftOut] };
    replaceFile(join(this.#folder, progressName), JSON.stringify(progress));
  }

  /** Writes the rest. Everything is on the disk afterwards, apart from the folder's own entry. */
  finish(): Record<FileName, FileChecksum> {
    const checksums = {
      [fileNames.passages]: this.#passages.finish(),
      [fileNames.vectors]: this.#vectors.finish(),
      [fileNames.passageOffsets]: this.#write(fileNames.passageOffsets, Float64Array, this.#offsets),
      [fileNames.passageChecks]: this.#write(fileNames.passageChecks, Uint32Array, this.#checks),
    };
    syncFolder(this.#folder);
    return checksums;
  }

  abandon(): void {
    this.#passages.abandon();
    this.#vectors.abandon();
  }

  #write(name: FileName, kind: Float64ArrayConstructor | Uint32ArrayConstructor, values: number[]): FileChecksum {
    const place = this.#place(name);
    // A build that was killed while it finished may have left it.
    remove(place);
    const file = new NumberWriter(ChecksummedFile.create(place), kind);
    try {
      return file.putAll(values).finish();
    } catch (error) {
      file.abandon();
      throw error;
    }
  }

  #place(name: FileName): string {
    return join(this.#folder, name);
  }
}

const progressSchema = z.object({
  /** Name of the encoder. */
  encoder: z.string(),
  dimensions: z.int().positive(),
  /** Passages whose lines and vectors are on the disk. */
  rows: z.int().positive(),
  passageBytes: z.int().positive(),
  /** Over the check numbers of these passages' lines: tells this corpus from another. */
  digest: z.int().nonnegative(),
  /** Passages that the encoder's endpoint refused, among those read so far. */
  leftOut: z.array(z.object({ place: z.int().nonnegative(), id: z.string(), why: z.string() })).default([]),
});
export type Progress = z.infer<typeof progressSchema>;

/** The generation that a build began and did not finish, with what it had done. */
export function findUnfinished(out: string): { generation: string; progress: Progress } | undefined {
  const current = currentGeneration(out);
  for (const generation of readdirSync(out)) {
    if (!generation.startsWith(generationPrefix) || generation === current) continue;
    try {
      const text = readFileSync(join(out, generation, progressName), "utf8");
      return { generation, progress: progressSchema.parse(JSON.parse(text)) };
    } catch {
      // Nothing of it was durable.
    }
  }
  return undefined;
}

/** The generation that the manifest in `out` names, however damaged the rest is. */
function currentGeneration(out: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(out, manifestName), "utf8")) as { generation?: string }).generation;
  } catch {
    return undefined;
  }
}

/** Folds one more line's check number into a digest. */
function digestWith(digest: number, check: number): number {
  return (Math.imul(digest ^ check, 0x01000193) ^ (digest >>> 15)) >>> 0;
}

const firstDigest = 0x811c9dc5;
