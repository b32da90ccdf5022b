/**
 * @file A segment from runs: the text of each goes to its place at once, the rest waits in a file of its own until all runs are there and are
 * merged. Runs may come from a build that was interrupted.
 */
import { join } from "node:path";
import { UserError } from "../../errors.js";
import { IdPlaces } from "../id-table.js";
import { removeUnfinished, writeCheckpoint } from "./checkpoint.js";
import type { Checkpoint, RunRecord, SourcePlace } from "./checkpoint.js";
import type { OutputFiles } from "../../files/disk.js";
import { fileNames } from "./format.js";
import type { SegmentRecord } from "./format.js";
import { mergeSources } from "./merge.js";
import type { MergeSource } from "./merge.js";
import { ByteReader, NumberReader, OpenedFile, lookupBytes, memoryRegion } from "./region.js";
import type { Region } from "./region.js";
import type { Run } from "./run.js";
import { SealedFile } from "../../files/checksummed-file.js";
import { SegmentFiles } from "./segment-files.js";
import { StoredSegment } from "./stored-segment.js";
import type { StoredPassage } from "../../types.js";

/** Postings of one segment: as many 32-bit numbers as fit the largest buffer of Node 20 (4 GiB). */
export const maxPostings = 2 ** 30 - 1;

/** A segment of the index that passages are added to. */
export interface Existing {
  record: SegmentRecord;
  /** Numbers of its deleted passages. */
  deleted: Uint32Array;
}

/** What a builder is opened with; can be sent to a worker. */
export interface BuilderOptions {
  out: string;
  /** Name of the segment's folder; there already when `checkpoint` is given. */
  folder: string;
  /** Stored in checkpoints: what is built. */
  source: string;
  existing: readonly Existing[];
  /** Whether new passages take the place of existing ones with the same id; otherwise these are an error. */
  replace: boolean;
  /** Where an interrupted build goes on. */
  checkpoint?: Checkpoint;
}

/** An id that occurs twice. Numbers count the documents of the source from 0; `first` is undefined when the index has it already. */
export interface Conflict {
  id: string;
  first?: number;
  second: number;
}

export interface Built {
  record: SegmentRecord;
  /** Of every existing segment, the living passages that are replaced, ascending. */
  replaced: number[][];
}

/** Takes runs in the order of the corpus, then `finish`. After an error, `abandon`. */
export class SegmentBuilder {
  readonly #options: BuilderOptions;
  readonly #disk: OutputFiles;
  readonly #files: SegmentFiles;
  readonly #folder: string;
  readonly #text: SealedFile;
  readonly #ids = new IdPlaces();
  readonly #runs: RunRecord[] = [];
  /** The only run, when there was one and it was the last. */
  #single: Run | undefined;
  readonly #opened: Region[] = [];
  #passages = 0;
  #postings = 0;

  constructor(options: BuilderOptions, disk: OutputFiles) {
    this.#options = options;
    this.#disk = disk;
    this.#folder = join(options.out, options.folder);
    this.#files = new SegmentFiles(this.#folder, disk);
    const { checkpoint } = options;
    if (checkpoint === undefined) {
      disk.makeFolder(this.#folder);
      this.#text = this.#files.bytes(fileNames.passages);
      return;
    }
    removeUnfinished(this.#folder, checkpoint, disk);
    this.#text = this.#files.extend(fileNames.passages, checkpoint.textBytes);
    for (const run of checkpoint.runs) this.#readmit(run);
  }

  /**
   * Adds the next run, unless one of its ids is there already. With `next` the work so far will survive; without it, the run is the last one.
   * @throws UserError when the corpus outgrows one segment, a file of the index is damaged
   */
  addRun(run: Run, next: SourcePlace | undefined): Conflict | undefined {
    const conflict = this.#conflictInside(run) ?? this.#conflictWithExisting(run);
    if (conflict !== undefined) return conflict;
    const textStart = this.#text.bytes;
    this.#text.write(run.lines);
    this.#passages += run.passages;
    this.#postings += run.postingPassages.length;
    if (this.#postings > maxPostings)
      throw new UserError(
        `The corpus is too large for one segment: more than ${maxPostings} postings (about 18 million passages of 100 words). Index a part of it, then add the rest.`,
      );
    if (next === undefined && this.#runs.length === 0) {
      this.#single = run;
      return undefined;
    }
    this.#runs.push(this.#spill(run, textStart));
    if (next === undefined) return undefined;
    this.#text.sync();
    const { source } = this.#options;
    writeCheckpoint(this.#folder, { source, next, textBytes: this.#text.bytes, runs: this.#runs }, this.#disk);
    return undefined;
  }

  /** Merges the runs. Everything is on the disk afterwards, apart from the folder's own entry. Yields the part of the work that is done, 0 to 1. */
  *finish(): Generator<number, Built> {
    const replaced = this.#options.replace ? yield* this.#replacedPassages() : this.#options.existing.map(() => []);
    this.#files.seal(fileNames.passages, this.#text);
    const sources = this.#single === undefined ? this.#runs.map((run) => this.#stored(run)) : [inMemory(this.#single)];
    const merged = yield* mergeSources(sources, this.#files);
    this.#closeRuns();
    const record = { folder: this.#options.folder, ...merged, files: this.#files.finish() };
    return { record, replaced };
  }

  /** Closes what is open. */
  abandon(): void {
    this.#files.abandon();
    this.#closeRuns();
  }

  /** Takes up a run of an interrupted build. */
  #readmit(run: RunRecord): void {
    const { idHashes } = this.#stored(run);
    const hashes = new NumberReader(idHashes as Region, Uint32Array);
    for (let passage = 0; passage < run.passages; passage++)
      this.#ids.add(hashes.at(2 * passage), hashes.at(2 * passage + 1), this.#passages + passage);
    this.#closeRuns();
    this.#runs.push(run);
    this.#passages += run.passages;
    this.#postings += run.postings;
  }

  #conflictInside(run: Run): Conflict | undefined {
    for (let passage = 0; passage < run.passages; passage++) {
      const second = this.#passages + passage;
      const places = this.#ids.add(run.idHashes[2 * passage], run.idHashes[2 * passage + 1], second);
      for (const first of places) {
        const id = passageOf(run, passage).id;
        const other = first < this.#passages ? this.#written(first).id : passageOf(run, first - this.#passages).id;
        if (id === other) return { id, first, second };
      }
    }
    return undefined;
  }

  #conflictWithExisting(run: Run): Conflict | undefined {
    const { existing, replace } = this.#options;
    if (replace || existing.length === 0) return undefined;
    const ids = new IdPlaces();
    for (let passage = 0; passage < run.passages; passage++)
      ids.add(run.idHashes[2 * passage], run.idHashes[2 * passage + 1], passage);
    const idOf = (passage: number): string => passageOf(run, passage).id;
    for (const segment of existing) {
      for (const [, place] of exhaust(livingWithIds(this.#options.out, segment, ids, idOf)))
        return { id: idOf(place), second: this.#passages + place };
    }
    return undefined;
  }

  *#replacedPassages(): Generator<number, number[][]> {
    const replaced: number[][] = [];
    for (const segment of this.#options.existing) {
      const found = livingWithIds(this.#options.out, segment, this.#ids, (place) => this.#added(place).id);
      let step = found.next();
      for (; !step.done; step = found.next()) yield 0;
      replaced.push(step.value.map(([passage]) => passage));
    }
    return replaced;
  }

  /** A passage that was added, by its number. */
  #added(number: number): StoredPassage {
    return this.#single === undefined ? this.#written(number) : passageOf(this.#single, number);
  }

  /** The same from the disk. */
  #written(number: number): StoredPassage {
    let first = 0;
    const run = this.#runs.find(({ passages }) => number < first + passages || ((first += passages), false));
    if (run === undefined) throw new Error(`internal: passage ${number} was not written`);
    this.#text.flush();
    const offsets = new NumberReader(this.#stored(run).offsets, Float64Array, lookupBytes);
    const path = join(this.#folder, fileNames.passages);
    const region = new OpenedFile(path).region(run.textStart, this.#text.bytes - run.textStart);
    try {
      const line = new ByteReader(region, lookupBytes).slice(
        offsets.at(number - first),
        offsets.at(number - first + 1),
      );
      return JSON.parse(line.toString("utf8")) as StoredPassage;
    } finally {
      region.close();
      this.#closeRuns();
    }
  }

  #spill(run: Run, textStart: number): RunRecord {
    const name = `run-${this.#runs.length}`;
    const opened = this.#disk.create(join(this.#folder, name));
    const file = new SealedFile(opened);
    try {
      for (const array of runArrays(run)) file.write(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    } catch (error) {
      file.abandon();
      throw error;
    }
    return {
      file: name,
      passages: run.passages,
      terms: run.termOffsets.length - 1,
      termBytes: run.terms.length,
      postings: run.postingPassages.length,
      frequencyBytes: run.postingFrequencies.BYTES_PER_ELEMENT,
      textStart,
      seal: file.finish(),
    };
  }

  #stored(run: RunRecord): MergeSource {
    const { passages, terms, termBytes, postings, frequencyBytes } = run;
    const file = new OpenedFile(join(this.#folder, run.file));
    let end = 0;
    const next = (bytes: number): Region => {
      const region = file.region(end, bytes);
      end += bytes;
      return region;
    };
    const source: MergeSource = {
      passages,
      terms,
      postings,
      frequencyBytes,
      // In the order of `runArrays`.
      offsets: next(8 * (passages + 1)),
      checks: next(4 * passages),
      lengths: next(4 * passages),
      idHashes: next(8 * passages),
      termText: next(termBytes),
      termOffsets: next(4 * (terms + 1)),
      postingOffsets: next(4 * (terms + 1)),
      postingPassages: next(4 * postings),
      postingFrequencies: next(frequencyBytes * postings),
    };
    this.#opened.push(source.offsets);
    return source;
  }

  #closeRuns(): void {
    for (const region of this.#opened.splice(0)) region.close();
  }
}

/** The arrays of a run in the order in which its file holds them. */
function runArrays(run: Run): (Float64Array | Uint32Array | Uint8Array | Uint16Array)[] {
  return [
    run.offsets,
    run.checks,
    run.lengths,
    run.idHashes,
    run.terms,
    run.termOffsets,
    run.postingOffsets,
    run.postingPassages,
    run.postingFrequencies,
  ];
}

function inMemory(run: Run): MergeSource {
  return {
    passages: run.passages,
    terms: run.termOffsets.length - 1,
    postings: run.postingPassages.length,
    frequencyBytes: run.postingFrequencies.BYTES_PER_ELEMENT,
    offsets: memoryRegion(run.offsets),
    checks: memoryRegion(run.checks),
    lengths: memoryRegion(run.lengths),
    idHashes: memoryRegion(run.idHashes),
    termText: memoryRegion(run.terms),
    termOffsets: memoryRegion(run.termOffsets),
    postingOffsets: memoryRegion(run.postingOffsets),
    postingPassages: memoryRegion(run.postingPassages),
    postingFrequencies: memoryRegion(run.postingFrequencies),
  };
}

function passageOf({ lines, offsets }: Run, passage: number): StoredPassage {
  const line = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength);
  return JSON.parse(line.toString("utf8", offsets[passage], offsets[passage + 1])) as StoredPassage;
}

/** The living passages of a segment whose id is one of `ids`, each with the place of that id. */
export function* livingWithIds(
  out: string,
  { record, deleted }: Existing,
  ids: IdPlaces,
  idOf: (place: number) => string,
): Generator<void, [passage: number, place: number][]> {
  const stored = new StoredSegment(out, record);
  const isDeleted = new Set(deleted);
  const found: [number, number][] = [];
  try {
    yield* stored.passagesOf(ids, (passage, places) => {
      if (isDeleted.has(passage)) return;
      const { id } = stored.passage(passage);
      const place = places.find((candidate) => idOf(candidate) === id);
      if (place !== undefined) found.push([passage, place]);
    });
  } finally {
    stored.close();
  }
  return found;
}

function exhaust<Result>(steps: Generator<unknown, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
