/**
 * @file Several sorted sources, one after another, become one segment: the runs of a build, or segments whose deleted passages go. Dictionaries
 * are merged term by term and everything else is copied from front to back, so memory does not grow with the corpus.
 */
import { hashId } from "../id-table.js";
import { fileNames } from "./format.js";
import type { SegmentRecord } from "./format.js";
import { ByteReader, NumberReader } from "./region.js";
import type { Region } from "./region.js";
import type { SegmentFiles } from "./segment-files.js";
import type { ChecksummedFile, NumberWriter } from "../../files/checksummed-file.js";
import type { StoredPassage } from "../../types.js";

/** Axes: N passages, V terms, P postings. */
export interface MergeSource {
  passages: number;
  terms: number;
  postings: number;
  /** Bytes of one posting's frequency. */
  frequencyBytes: number;
  /** [N] */
  lengths: Region;
  /** [N + 1], float64 */
  offsets: Region;
  /** [N] */
  checks: Region;
  /** [2 N]; absent in segments of version 1, whose ids are read from `lines`. */
  idHashes?: Region;
  termText: Region;
  /** [V + 1] */
  termOffsets: Region;
  /** [V], of version 1 only: the number of each sorted term. */
  termNumbers?: Region;
  /** [V + 1] by term number */
  postingOffsets: Region;
  /** [P] */
  postingPassages: Region;
  /** [P] */
  postingFrequencies: Region;
  /** The passages, where they are to be copied. */
  lines?: Region;
  /** [N], 1 for each passage to leave out. */
  deleted?: Uint8Array;
}

type Merged = Omit<SegmentRecord, "folder" | "files" | "tombstones">;

/** Postings and passages copied between two yields. */
const stride = 50_000;

/** Writes all files of a segment but passages.jsonl where sources have no `lines`. Yields the part of the work that is done, 0 to 1. */
export function* mergeSources(sources: readonly MergeSource[], files: SegmentFiles): Generator<number, Merged> {
  const all = sources.reduce((sum, { passages, postings }) => sum + passages + postings, 0) || 1;
  let done = 0;
  const advance = function* (steps: Generator<number, number>): Generator<number, number> {
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) return step.value;
      done += step.value;
      yield done / all;
    }
  };
  const totals = { passages: 0, totalLength: 0, terms: 0 };
  yield* advance(mergePassages(sources, files, totals));
  const frequencyBytes = Math.max(1, ...sources.map((source) => source.frequencyBytes));
  const postings = yield* advance(mergePostings(sources, files, frequencyBytes, totals));
  return { ...totals, postings, frequencyBytes };
}

/** Yields the number of passages seen since the last yield. */
function* mergePassages(
  sources: readonly MergeSource[],
  files: SegmentFiles,
  totals: { passages: number; totalLength: number },
): Generator<number, number> {
  const lengths = files.numbers(fileNames.lengths, Uint32Array);
  const offsets = files.numbers(fileNames.passageOffsets, Float64Array);
  const checks = files.numbers(fileNames.passageChecks, Uint32Array);
  const idHashes = files.numbers(fileNames.idHashes, Uint32Array);
  const text = sources.some(({ lines }) => lines !== undefined) ? files.bytes(fileNames.passages) : undefined;
  let end = 0;
  offsets.put(0);
  for (const source of sources) {
    const from = readersOf(source);
    for (let passage = 0; passage < source.passages; passage++) {
      if (passage % stride === stride - 1) yield stride;
      if (source.deleted?.[passage] === 1) continue;
      const [first, last] = [from.offsets.at(passage), from.offsets.at(passage + 1)];
      end += last - first;
      offsets.put(end);
      checks.put(from.checks.at(passage));
      const length = from.lengths.at(passage);
      lengths.put(length);
      totals.totalLength += length;
      totals.passages++;
      text?.write(from.line(first, last));
      if (from.idHashes !== undefined) {
        idHashes.put(from.idHashes.at(2 * passage));
        idHashes.put(from.idHashes.at(2 * passage + 1));
      } else {
        const { id } = JSON.parse(from.lineText(first, last)) as StoredPassage;
        idHashes.putAll(hashId(id));
      }
    }
    yield source.passages % stride;
  }
  files.finishFile(fileNames.lengths, lengths);
  files.finishFile(fileNames.passageOffsets, offsets);
  files.finishFile(fileNames.passageChecks, checks);
  files.finishFile(fileNames.idHashes, idHashes);
  if (text !== undefined) files.finishFile(fileNames.passages, text);
  return totals.passages;
}

interface PassageReaders {
  lengths: NumberReader;
  offsets: NumberReader;
  checks: NumberReader;
  idHashes?: NumberReader;
  line(start: number, end: number): Uint8Array;
  lineText(start: number, end: number): string;
}

function readersOf(source: MergeSource): PassageReaders {
  const lines = source.lines && new ByteReader(source.lines);
  return {
    lengths: new NumberReader(source.lengths, Uint32Array),
    offsets: new NumberReader(source.offsets, Float64Array),
    checks: new NumberReader(source.checks, Uint32Array),
    ...(source.idHashes && { idHashes: new NumberReader(source.idHashes, Uint32Array) }),
    line(start, end) {
      if (lines === undefined) throw new Error("internal: a source without lines");
      return lines.slice(start, end);
    },
    lineText(start, end) {
      if (lines === undefined) throw new Error("internal: a source without lines");
      return lines.text(start, end);
    },
  };
}

interface PostingWriters {
  passages: NumberWriter;
  frequencies: NumberWriter;
}

/** Yields the number of postings seen since the last yield; returns how many were written. */
function* mergePostings(
  sources: readonly MergeSource[],
  files: SegmentFiles,
  frequencyBytes: number,
  totals: { terms: number },
): Generator<number, number> {
  const text: ChecksummedFile = files.bytes(fileNames.terms);
  const termOffsets = files.numbers(fileNames.termOffsets, Uint32Array);
  const postingOffsets = files.numbers(fileNames.postingOffsets, Uint32Array);
  const writers: PostingWriters = {
    passages: files.numbers(fileNames.postingPassages, Uint32Array),
    frequencies: files.numbers(fileNames.postingFrequencies, kindOf(frequencyBytes)),
  };
  termOffsets.put(0);
  postingOffsets.put(0);
  const heap = new CursorHeap(cursorsOf(sources));
  let written = 0;
  let seen = 0;
  for (let cursor = heap.top; cursor?.term !== undefined; cursor = heap.top) {
    const { term } = cursor;
    const before = written;
    for (; cursor?.term === term; cursor = heap.top) {
      seen += cursor.count;
      written += cursor.copy(writers);
      cursor.advance();
      heap.settle();
      if (seen < stride) continue;
      yield seen;
      seen = 0;
    }
    // A term that only deleted passages held is gone, as in an index built anew.
    if (written === before) continue;
    text.write(Buffer.from(term));
    termOffsets.put(text.bytes);
    postingOffsets.put(written);
    totals.terms++;
  }
  files.finishFile(fileNames.terms, text);
  files.finishFile(fileNames.termOffsets, termOffsets);
  files.finishFile(fileNames.postingOffsets, postingOffsets);
  files.finishFile(fileNames.postingPassages, writers.passages);
  files.finishFile(fileNames.postingFrequencies, writers.frequencies);
  return written;
}

function cursorsOf(sources: readonly MergeSource[]): TermCursor[] {
  const cursors: TermCursor[] = [];
  let firstPassage = 0;
  for (const source of sources) {
    const numbering = numbersOfLiving(source, firstPassage);
    cursors.push(new TermCursor(source, cursors.length, firstPassage, numbering));
    firstPassage += source.passages - (source.deleted?.reduce((sum, one) => sum + one, 0) ?? 0);
  }
  return cursors;
}

/** The new number of each passage, where some are left out. */
function numbersOfLiving({ deleted, passages }: MergeSource, firstPassage: number): Uint32Array | undefined {
  if (deleted === undefined) return undefined;
  const numbers = new Uint32Array(passages);
  let next = firstPassage;
  for (let passage = 0; passage < passages; passage++) if (deleted[passage] === 0) numbers[passage] = next++;
  return numbers;
}

/** Goes through the terms of a source in their order. */
class TermCursor {
  /** Undefined behind the last one. */
  term: string | undefined;
  /** Number of the source. */
  readonly source: number;
  /** Postings of the term. */
  count = 0;
  #place = -1;
  #start = 0;
  readonly #terms: number;
  readonly #firstPassage: number;
  readonly #deleted: Uint8Array | undefined;
  readonly #numbering: Uint32Array | undefined;
  readonly #text: ByteReader;
  readonly #termOffsets: NumberReader;
  readonly #termNumbers: NumberReader | undefined;
  readonly #postingOffsets: NumberReader;
  readonly #passages: NumberReader;
  readonly #frequencies: NumberReader;

  constructor(source: MergeSource, number: number, firstPassage: number, numbering: Uint32Array | undefined) {
    this.source = number;
    this.#terms = source.terms;
    this.#firstPassage = firstPassage;
    this.#deleted = source.deleted;
    this.#numbering = numbering;
    this.#text = new ByteReader(source.termText);
    this.#termOffsets = new NumberReader(source.termOffsets, Uint32Array);
    this.#termNumbers = source.termNumbers && new NumberReader(source.termNumbers, Uint32Array);
    this.#postingOffsets = new NumberReader(source.postingOffsets, Uint32Array);
    this.#passages = new NumberReader(source.postingPassages, Uint32Array);
    this.#frequencies = new NumberReader(source.postingFrequencies, kindOf(source.frequencyBytes));
    this.advance();
  }

  advance(): void {
    const place = ++this.#place;
    if (place >= this.#terms) {
      this.term = undefined;
      return;
    }
    this.term = this.#text.text(this.#termOffsets.at(place), this.#termOffsets.at(place + 1));
    const number = this.#termNumbers?.at(place) ?? place;
    this.#start = this.#postingOffsets.at(number);
    this.count = this.#postingOffsets.at(number + 1) - this.#start;
  }

  /** Writes the postings of the term; returns how many. */
  copy({ passages, frequencies }: PostingWriters): number {
    const start = this.#start;
    const count = this.count;
    const deleted = this.#deleted;
    const numbering = this.#numbering;
    const firstPassage = this.#firstPassage;
    let written = 0;
    for (let posting = start; posting < start + count; posting++) {
      const passage = this.#passages.at(posting);
      if (deleted !== undefined && deleted[passage] === 1) continue;
      passages.put(numbering === undefined ? firstPassage + passage : numbering[passage]);
      frequencies.put(this.#frequencies.at(posting));
      written++;
    }
    return written;
  }
}

/** Cursors as a heap: the smallest term on top, of equal ones the earliest source. */
class CursorHeap {
  readonly #heap: TermCursor[];

  constructor(cursors: readonly TermCursor[]) {
    this.#heap = cursors.filter(({ term }) => term !== undefined);
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#siftDown(at);
  }

  get top(): TermCursor | undefined {
    return this.#heap[0];
  }

  /** Puts the top where it belongs after it went on; drops it when it has come to its end. */
  settle(): void {
    if (this.#heap[0].term === undefined) {
      const last = this.#heap.pop() as TermCursor;
      if (this.#heap.length === 0) return;
      this.#heap[0] = last;
    }
    this.#siftDown(0);
  }

  #siftDown(from: number): void {
    const heap = this.#heap;
    const item = heap[from];
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], item)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = item;
  }
}

function isBefore(one: TermCursor, other: TermCursor): boolean {
  if (one.term === other.term) return one.source < other.source;
  return (one.term as string) < (other.term as string);
}

type FrequencyKind = Uint8ArrayConstructor | Uint16ArrayConstructor | Uint32ArrayConstructor;

/** The array of frequencies of so many bytes. */
function kindOf(bytes: number): FrequencyKind {
  const kind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[bytes];
  if (kind === undefined) throw new Error(`internal: frequencies of ${bytes} bytes`);
  return kind;
}
