/** @file A segment on disk as changes of the index see it: read piece by piece, whatever its size. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { StoredPassage } from "../../types.js";
import { hashId } from "../id-table.js";
import type { IdPlaces } from "../id-table.js";
import { checkNumber } from "../passages.js";
import { bm25Index, fileNames, termNumbersName } from "./format.js";
import type { SegmentRecord } from "./format.js";
import type { MergeSource } from "./merge.js";
import { ByteReader, NumberReader, OpenedFile, lookupBytes } from "./region.js";
import type { Region } from "./region.js";

/** A segment of an index that changes. Can be sent to a worker. */
export interface Existing {
  record: SegmentRecord;
  /** Numbers of its deleted passages. */
  deleted: Uint32Array;
}

/** Passages looked at between two yields. */
const stride = 50_000;

/** Keeps files open: `close` it. */
export class StoredSegment {
  readonly #out: string;
  readonly #record: SegmentRecord;
  readonly #opened: OpenedFile[] = [];
  readonly #regions = new Map<string, Region>();
  #offsets: NumberReader | undefined;
  #checks: NumberReader | undefined;
  #lines: ByteReader | undefined;

  constructor(out: string, record: SegmentRecord) {
    this.#out = out;
    this.#record = record;
  }

  /**
   * A stored passage by its number in the segment.
   * @throws UserError when it is not what was written
   */
  passage(number: number): StoredPassage {
    this.#offsets ??= new NumberReader(this.#region(fileNames.passageOffsets), Float64Array, lookupBytes);
    this.#checks ??= new NumberReader(this.#region(fileNames.passageChecks), Uint32Array, lookupBytes);
    this.#lines ??= new ByteReader(this.#region(fileNames.passages), lookupBytes);
    const line = this.#lines.slice(this.#offsets.at(number), this.#offsets.at(number + 1));
    if (checkNumber(line) !== this.#checks.at(number))
      throw bm25Index.damagedIn(this.#out)(this.#pathOf(fileNames.passages), `passage ${number} has changed`);
    return JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString("utf8")) as StoredPassage;
  }

  /**
   * Visits every passage, deleted ones too, whose id may be one of `ids`: the hashes are equal, and the visitor compares the ids.
   * Yields now and then, for other work on the thread.
   */
  *passagesOf(ids: IdPlaces, visit: (passage: number, places: readonly number[]) => void): Generator<void, void> {
    const { passages, files } = this.#record;
    const hashes =
      fileNames.idHashes in files ? new NumberReader(this.#region(fileNames.idHashes), Uint32Array) : undefined;
    for (let passage = 0; passage < passages; passage++) {
      if (passage % stride === stride - 1) yield;
      const places =
        hashes === undefined
          ? ids.placesOf(...hashId(this.passage(passage).id))
          : ids.placesOf(hashes.at(2 * passage), hashes.at(2 * passage + 1));
      if (places.length > 0) visit(passage, places);
    }
  }

  /** For merging, without the passages for which `deleted` is 1. */
  source(deleted: Uint8Array | undefined): MergeSource {
    const { passages, terms, postings, frequencyBytes, files } = this.#record;
    return {
      passages,
      terms,
      postings,
      frequencyBytes,
      lengths: this.#region(fileNames.lengths),
      offsets: this.#region(fileNames.passageOffsets),
      checks: this.#region(fileNames.passageChecks),
      ...(fileNames.idHashes in files && { idHashes: this.#region(fileNames.idHashes) }),
      termText: this.#region(fileNames.terms),
      termOffsets: this.#region(fileNames.termOffsets),
      ...(termNumbersName in files && { termNumbers: this.#region(termNumbersName) }),
      postingOffsets: this.#region(fileNames.postingOffsets),
      postingPassages: this.#region(fileNames.postingPassages),
      postingFrequencies: this.#region(fileNames.postingFrequencies),
      lines: this.#region(fileNames.passages),
      ...(deleted && { deleted }),
    };
  }

  close(): void {
    for (const file of this.#opened) file.close();
  }

  #region(name: string): Region {
    const known = this.#regions.get(name);
    if (known !== undefined) return known;
    const path = this.#pathOf(name);
    const { bytes } = this.#record.files[name];
    const damaged = bm25Index.damagedIn(this.#out);
    let size: number;
    try {
      ({ size } = statSync(path));
    } catch (cause) {
      throw damaged(path, `it cannot be read (${(cause as NodeJS.ErrnoException).code})`, cause);
    }
    if (size !== bytes) throw damaged(path, `it has ${size} bytes where ${bytes} were written`);
    const file = new OpenedFile(path);
    this.#opened.push(file);
    const region = file.region(0, bytes);
    this.#regions.set(name, region);
    return region;
  }

  #pathOf(name: string): string {
    return join(this.#out, this.#record.folder, name);
  }
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
