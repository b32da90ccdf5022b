/**
 * @file Writes a segment: from the runs of a source, or from neighbouring segments that become one. Of a run, the text goes to its place in
 * the segment at once; the rest waits in a file of its own until all runs are there and are merged.
 */
import { join } from "node:path";
import { UserError } from "../../errors.js";
import type { ChecksummedFile } from "../../files/checksummed-file.js";
import { OutputFile, makeFolder } from "../../files/disk.js";
import type { StoredPassage } from "../../types.js";
import { IdPlaces } from "../id-table.js";
import { fileNames, maxPostings } from "./format.js";
import type { SegmentRecord } from "./format.js";
import { mergeSources } from "./merge.js";
import type { MergeSource } from "./merge.js";
import { ByteReader, NumberReader, OpenedFile, lookupBytes, memoryRegion } from "./region.js";
import type { Region } from "./region.js";
import type { Run } from "./run.js";
import { SegmentFiles } from "./segment-files.js";
import { deletedFlags } from "./snapshot.js";
import { StoredSegment, livingWithIds } from "./stored-segment.js";
import type { Existing } from "./stored-segment.js";

/** What a builder is opened with; can be sent to a worker. */
export interface BuildOrder {
  out: string;
  /** Name of the new segment's folder. */
  folder: string;
  existing: readonly Existing[];
  /** Whether new passages take the place of existing ones with the same id; otherwise these are an error. */
  replace: boolean;
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

/** A run whose arrays are in a file. */
interface SpilledRun {
  source: MergeSource;
  /** Number of its first passage. */
  firstPassage: number;
  /** Where its lines begin in passages.jsonl. */
  textStart: number;
}

/** Takes runs in the order of the corpus, then `finish`. Call `abandon` at the end, also after an error. */
export class SegmentBuilder {
  readonly #order: BuildOrder;
  readonly #folder: string;
  readonly #files: SegmentFiles;
  readonly #text: ChecksummedFile;
  readonly #ids = new IdPlaces();
  readonly #runs: SpilledRun[] = [];
  /** The only run, when there was one and it was the last. */
  #single: Run | undefined;
  readonly #opened: OpenedFile[] = [];
  #writtenText: OpenedFile | undefined;
  #passages = 0;
  #postings = 0;

  constructor(order: BuildOrder) {
    this.#order = order;
    this.#folder = join(order.out, order.folder);
    this.#files = new SegmentFiles(this.#folder);
    makeFolder(this.#folder);
    this.#text = this.#files.bytes(fileNames.passages);
  }

  /**
   * Adds the next run, unless one of its ids is there already.
   * @throws UserError when the corpus outgrows one segment, a file of the index is damaged
   */
  addRun(run: Run, isLast: boolean): Conflict | undefined {
    const conflict = this.#conflictInside(run) ?? this.#conflictWithExisting(run);
    if (conflict !== undefined) return conflict;
    const place = { firstPassage: this.#passages, textStart: this.#text.bytes };
    this.#text.write(run.lines);
    this.#passages += run.passages;
    this.#postings += run.postingPassages.length;
    if (this.#postings > maxPostings)
      throw new UserError(
        `The corpus is too large for one segment: more than ${maxPostings} postings (about 18 million passages of 100 words). Index a part of it, then add the rest.`,
      );
    if (isLast && this.#runs.length === 0) this.#single = run;
    else this.#runs.push({ source: this.#spill(run), ...place });
    return undefined;
  }

  /** Merges the runs. Everything is on the disk afterwards, apart from the folder's own entry. Yields the part of the work that is done, 0 to 1. */
  *finish(): Generator<number, Built> {
    const { existing, replace, folder } = this.#order;
    const replaced = replace ? yield* this.#replacedPassages() : existing.map(() => []);
    this.#files.finishFile(fileNames.passages, this.#text);
    const sources =
      this.#single === undefined ? this.#runs.map(({ source }) => source) : [sourceOf(this.#single, memoryRegion)];
    const merged = yield* mergeSources(sources, this.#files);
    return { record: { folder, ...merged, files: this.#files.finish() }, replaced };
  }

  /** Closes what is open. */
  abandon(): void {
    this.#files.abandon();
    for (const file of this.#opened) file.close();
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
    const { out, existing, replace } = this.#order;
    if (replace || existing.length === 0) return undefined;
    const ids = new IdPlaces();
    for (let passage = 0; passage < run.passages; passage++)
      ids.add(run.idHashes[2 * passage], run.idHashes[2 * passage + 1], passage);
    const idOf = (passage: number): string => passageOf(run, passage).id;
    for (const segment of existing) {
      for (const [, place] of exhaust(livingWithIds(out, segment, ids, idOf)))
        return { id: idOf(place), second: this.#passages + place };
    }
    return undefined;
  }

  *#replacedPassages(): Generator<number, number[][]> {
    const replaced: number[][] = [];
    for (const segment of this.#order.existing) {
      const found = livingWithIds(this.#order.out, segment, this.#ids, (place) => this.#added(place).id);
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
    const run = this.#runs.findLast(({ firstPassage }) => firstPassage <= number);
    if (run === undefined) throw new Error(`internal: passage ${number} was not written`);
    const { source, firstPassage, textStart } = run;
    this.#text.flush();
    this.#writtenText ??= this.#open(fileNames.passages);
    const offsets = new NumberReader(source.offsets, Float64Array, lookupBytes);
    const text = new ByteReader(this.#writtenText.region(textStart, this.#text.bytes - textStart), lookupBytes);
    const line = text.text(offsets.at(number - firstPassage), offsets.at(number - firstPassage + 1));
    return JSON.parse(line) as StoredPassage;
  }

  /** Writes everything but the text of a run to a file, which nothing needs after a crash. */
  #spill(run: Run): MergeSource {
    const name = `run-${this.#runs.length}`;
    const file = OutputFile.create(join(this.#folder, name));
    try {
      const written = this.#open(name);
      let end = 0;
      return sourceOf(run, (array) => {
        file.write(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
        const region = written.region(end, array.byteLength);
        end += array.byteLength;
        return region;
      });
    } finally {
      file.abandon();
    }
  }

  #open(name: string): OpenedFile {
    const file = new OpenedFile(join(this.#folder, name));
    this.#opened.push(file);
    return file;
  }
}

/** What a merge is done with; can be sent to a worker. */
export interface MergeOrder {
  out: string;
  /** Name of the new segment's folder. */
  folder: string;
  segments: readonly Existing[];
}

/**
 * Writes neighbouring segments as one, without what was deleted. Yields the part of the work that is done, 0 to 1. The caller removes the
 * folder after an error.
 */
export function* mergeSegments({ out, folder, segments }: MergeOrder): Generator<number, SegmentRecord> {
  makeFolder(join(out, folder));
  const files = new SegmentFiles(join(out, folder));
  const stored = segments.map(({ record }) => new StoredSegment(out, record));
  try {
    const sources = stored.map((segment, index) =>
      segment.source(deletedFlags(segments[index].record.passages, segments[index].deleted)),
    );
    const merged = yield* mergeSources(sources, files);
    return { folder, ...merged, files: files.finish() };
  } finally {
    files.abandon();
    for (const segment of stored) segment.close();
  }
}

/** A run as merging reads it; `place` says where an array lies. */
function sourceOf(run: Run, place: (array: ArrayBufferView) => Region): MergeSource {
  return {
    passages: run.passages,
    terms: run.termOffsets.length - 1,
    postings: run.postingPassages.length,
    frequencyBytes: run.postingFrequencies.BYTES_PER_ELEMENT,
    offsets: place(run.offsets),
    checks: place(run.checks),
    lengths: place(run.lengths),
    idHashes: place(run.idHashes),
    termText: place(run.terms),
    termOffsets: place(run.termOffsets),
    postingOffsets: place(run.postingOffsets),
    postingPassages: place(run.postingPassages),
    postingFrequencies: place(run.postingFrequencies),
  };
}

function passageOf({ lines, offsets }: Run, passage: number): StoredPassage {
  const line = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength);
  return JSON.parse(line.toString("utf8", offsets[passage], offsets[passage + 1])) as StoredPassage;
}

function exhaust<Result>(steps: Generator<unknown, Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
