/** @file Opens an index folder: typed arrays read whole, passages left on disk. And BM25 from settings. */
import { TimeSlice } from "../../async.js";
import { join } from "node:path";
import { UserError } from "../../errors.js";
import { areOffsets } from "../index-folder.js";
import { locateIndex } from "../locate-index.js";
import type { EngineContext, EngineSettings } from "../settings.js";
import { Bm25Engine } from "./engine.js";
import type { Bm25EngineOptions } from "./engine.js";
import { bm25Index, fileNames, livingIn, readManifest, termNumbersName } from "./format.js";
import type { Manifest, SegmentRecord } from "./format.js";
import { PassageFile, SegmentedPassages } from "../passages.js";
import { checkSize, readChecksummed, verifyFile } from "../../files/checksummed-file.js";
import { checkRanking } from "./settings.js";
import type { Bm25Settings } from "./settings.js";
import { deletedFlags } from "./snapshot.js";
import type { Bm25Snapshot, Frequencies, IndexSegment } from "./snapshot.js";
import { readTombstones } from "./tombstones.js";
import type { Tombstones } from "./tombstones.js";

/** An index that is read: what scores, and where the passages are. */
interface OpenedIndex {
  snapshot: Bm25Snapshot;
  passages: SegmentedPassages;
}

/**
 * Opens an index for searching. `k1` and `b` may differ from those it was built with; the analyzer may not.
 * Every file's size and the hash of every file held in memory are checked; passages are checked as they are read. The engine keeps what it
 * opened while the folder changes.
 * @throws UserError naming the file when the index is missing, half-written, truncated, damaged or of another version.
 */
export async function openIndex(
  folder: string,
  ranking: Partial<Pick<Bm25Settings, "k1" | "b">> = {},
  options: Bm25EngineOptions = {},
): Promise<Bm25Engine> {
  const { snapshot, passages } = await readIndex(folder, ranking);
  return Bm25Engine.fromSnapshot(snapshot, passages, options);
}

/**
 * Reads an index into memory that threads can share; passages stay on disk, in files that are open. The caller closes `passages`.
 * @throws UserError as `openIndex` does
 */
export async function readIndex(
  folder: string,
  ranking: Partial<Pick<Bm25Settings, "k1" | "b">> = {},
): Promise<OpenedIndex> {
  for (;;) {
    const manifest = await readManifest(folder);
    const { k1, b } = { k1: manifest.k1, b: manifest.b, ...ranking };
    checkRanking(k1, b);
    try {
      return await readSegments(folder, manifest, k1, b);
    } catch (error) {
      // A writer may have put another index in the place of this one between its manifest and its files.
      const current = await readManifest(folder);
      if (JSON.stringify(current) === JSON.stringify(manifest)) throw error;
    }
  }
}

/**
 * Reads every byte of an index, passages included.
 * @throws UserError naming the first file that is not as it was written.
 */
export async function verifyIndex(folder: string): Promise<void> {
  const { segments } = await readManifest(folder);
  for (const segment of segments) {
    for (const [name, checksum] of Object.entries(segment.files))
      await verifyFile(join(folder, segment.folder, name), checksum, bm25Index.damagedIn(folder));
    await readTombstones(folder, segment);
  }
}

async function readSegments(folder: string, manifest: Manifest, k1: number, b: number): Promise<OpenedIndex> {
  const segments: IndexSegment[] = [];
  const files: PassageFile[] = [];
  const deletedFrequencies = new Map<string, number>();
  const totals = { passages: 0, totalLength: 0 };
  let firstPassage = 0;
  try {
    for (const record of manifest.segments) {
      const tombstones = await readTombstones(folder, record);
      const deleted = deletedFlags(record.passages, tombstones.passages);
      const segment = { ...(await readSegment(folder, record)), firstPassage, ...(deleted && { deleted }) };
      segments.push(segment);
      await addDeleted(deletedFrequencies, segment, tombstones);
      files.push(await openPassages(folder, record));
      firstPassage += record.passages;
      totals.passages += livingIn(record);
      totals.totalLength += record.totalLength;
      for (const passage of tombstones.passages) totals.totalLength -= segment.lengths[passage];
    }
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
  return {
    snapshot: { analyzer: manifest.analyzer, k1, b, segments, ...totals, deletedFrequencies },
    passages: new SegmentedPassages(
      files,
      segments.map(({ deleted }) => deleted),
    ),
  };
}

async function readSegment(
  folder: string,
  record: SegmentRecord,
): Promise<Omit<IndexSegment, "firstPassage" | "deleted">> {
  const place = (name: string): string => join(folder, record.folder, name);
  const read = (name: string): Promise<SharedArrayBuffer> =>
    readChecksummed(place(name), record.files[name], bm25Index.damagedIn(folder));
  const offsets = async (name: string, end: number): Promise<Uint32Array> => {
    const numbers = new Uint32Array(await read(name));
    if (areOffsets(numbers, end)) return numbers;
    throw bm25Index.damagedIn(folder)(place(name), "its offsets do not fit");
  };
  const text = new Uint8Array(await read(fileNames.terms));
  return {
    terms: {
      text,
      offsets: await offsets(fileNames.termOffsets, text.length),
      numbers: new Uint32Array(
        termNumbersName in record.files ? await read(termNumbersName) : placesAsNumbers(record.terms),
      ),
    },
    lengths: new Uint32Array(await read(fileNames.lengths)),
    postingOffsets: await offsets(fileNames.postingOffsets, record.postings),
    postingPassages: new Uint32Array(await read(fileNames.postingPassages)),
    postingFrequencies: frequenciesIn(await read(fileNames.postingFrequencies), record.frequencyBytes),
  };
}

function frequenciesIn(memory: SharedArrayBuffer, bytes: number): Frequencies {
  if (bytes === 1) return new Uint8Array(memory);
  return bytes === 2 ? new Uint16Array(memory) : new Uint32Array(memory);
}

/** Terms are numbered in their order since version 2. */
function placesAsNumbers(terms: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(4 * terms);
  const numbers = new Uint32Array(memory);
  for (let place = 0; place < terms; place++) numbers[place] = place;
  return memory;
}

/** Counts how many deleted passages hold each term. */
async function addDeleted(
  frequencies: Map<string, number>,
  { terms: { text, offsets } }: Pick<IndexSegment, "terms">,
  { places, counts }: Tombstones,
): Promise<void> {
  const bytes = Buffer.from(text.buffer as SharedArrayBuffer as unknown as ArrayBuffer);
  const slice = new TimeSlice();
  for (const [index, place] of places.entries()) {
    const term = bytes.toString("utf8", offsets[place], offsets[place + 1]);
    frequencies.set(term, (frequencies.get(term) ?? 0) + counts[index]);
    if (slice.isOver) await slice.next();
  }
}

async function openPassages(folder: string, record: SegmentRecord): Promise<PassageFile> {
  const pathOf = (name: string): string => join(folder, record.folder, name);
  const damaged = bm25Index.damagedIn(folder);
  const read = (name: string): Promise<SharedArrayBuffer> => readChecksummed(pathOf(name), record.files[name], damaged);
  // Read piece by piece later, or only when the index changes; version 1 has no hashes.
  for (const name of [fileNames.passages, fileNames.idHashes])
    if (name in record.files) await checkSize(pathOf(name), record.files[name].bytes, damaged);
  const offsets = new Float64Array(await read(fileNames.passageOffsets));
  const checks = new Uint32Array(await read(fileNames.passageChecks));
  if (!areOffsets(offsets, record.files[fileNames.passages].bytes))
    throw damaged(pathOf(fileNames.passageOffsets), "its offsets do not fit");
  return PassageFile.open(pathOf(fileNames.passages), offsets, checks);
}

/**
 * BM25 from settings: an index folder, or passages at hand.
 * @throws UserError when neither an index nor passages are given, and as `openIndex` does
 */
export async function openBm25({ index, k1, b }: EngineSettings, context: EngineContext): Promise<Bm25Engine> {
  const ranking = { ...(k1 === "auto" ? {} : { k1 }), ...(b === "auto" ? {} : { b }) };
  if (index !== "") return announced(await openIndex(await locateIndex(index, "bm25"), ranking), context);
  if (context.passages === undefined)
    throw new UserError(
      "bm25 needs an index. Make one with `sleuth index CORPUS.jsonl --out FOLDER` and name it with --index FOLDER.",
    );
  return announced(await Bm25Engine.indexed(await context.passages(), ranking), context);
}

function announced(engine: Bm25Engine, { onPassages }: EngineContext): Bm25Engine {
  onPassages?.(engine.passages);
  return engine;
}
