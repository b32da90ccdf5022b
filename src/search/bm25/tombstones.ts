/**
 * @file Which passages of a segment are deleted, and how many of them hold each term: what ranking needs to count living passages only, without
 * reading the deleted ones again.
 *
 * The file, 32-bit numbers: D, T, then D passage numbers ascending, T places in the dictionary ascending, T counts.
 */
import { TimeSlice } from "../../async.js";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Analyzer } from "../text/analyzer.js";
import { removeQuietly, syncFolder } from "../../files/disk.js";
import { bm25Index, fileNames } from "./format.js";
import type { SegmentRecord } from "./format.js";
import { ChecksummedFile, readChecksummed } from "../../files/checksummed-file.js";
import { numberOfTerm } from "./snapshot.js";
import type { TermBlock } from "./snapshot.js";
import { StoredSegment } from "./stored-segment.js";

const tombstonePrefix = "tombstones-";

export interface Tombstones {
  /** Numbers in the segment, ascending. */
  passages: Uint32Array;
  /** Places in the sorted dictionary, ascending. */
  places: Uint32Array;
  /** How many of the deleted passages hold the term at each of `places`. */
  counts: Uint32Array;
}

const noTombstones: Tombstones = {
  passages: new Uint32Array(0),
  places: new Uint32Array(0),
  counts: new Uint32Array(0),
};

/**
 * The tombstones of a segment; none where nothing was deleted.
 * @throws UserError when the file is damaged
 */
export async function readTombstones(out: string, segment: SegmentRecord): Promise<Tombstones> {
  const { tombstones: record, folder } = segment;
  if (record === undefined) return noTombstones;
  const path = join(out, folder, record.file);
  const damaged = bm25Index.damagedIn(out);
  const content = new Uint32Array(await readChecksummed(path, record, damaged));
  const [deleted, terms] = content;
  if (content.length !== 2 + deleted + 2 * terms || deleted !== record.passages)
    throw damaged(path, "its counts do not fit");
  const numbers = content.subarray(2);
  return {
    passages: numbers.subarray(0, deleted),
    places: numbers.subarray(deleted, deleted + terms),
    counts: numbers.subarray(deleted + terms),
  };
}

/**
 * Writes tombstones for further passages of a segment, which are alive so far. They count when the manifest names them.
 * @returns the segment with its new tombstones
 * @throws UserError when the segment is damaged
 */
export async function deletePassages(
  out: string,
  segment: SegmentRecord,
  passages: readonly number[],
  analyzer: Analyzer,
): Promise<SegmentRecord> {
  if (passages.length === 0) return segment;
  const before = await readTombstones(out, segment);
  const dictionary = await readDictionary(out, segment);
  const counts = new Map<number, number>();
  for (const [index, place] of before.places.entries()) counts.set(place, before.counts[index]);
  for (const [term, count] of await countTerms(out, segment, passages, analyzer)) {
    const place = numberOfTerm(dictionary, Buffer.from(term));
    // Not there only when this Node's Unicode cuts words otherwise than the one that built the index.
    if (place >= 0) counts.set(place, (counts.get(place) ?? 0) + count);
  }
  const places = Uint32Array.from(counts.keys()).sort();
  const after: Tombstones = {
    passages: Uint32Array.from([...before.passages, ...passages]).sort(),
    places,
    counts: places.map((place) => counts.get(place) as number),
  };
  return { ...segment, tombstones: write(join(out, segment.folder), after) };
}

function write(folder: string, { passages, places, counts }: Tombstones): SegmentRecord["tombstones"] {
  const name = `${tombstonePrefix}${randomBytes(4).toString("hex")}`;
  const path = join(folder, name);
  const file = ChecksummedFile.create(path);
  try {
    for (const numbers of [Uint32Array.of(passages.length, places.length), passages, places, counts])
      file.write(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
    const checksum = file.finish();
    syncFolder(folder);
    return { file: name, passages: passages.length, ...checksum };
  } catch (error) {
    file.abandon();
    removeQuietly(path);
    throw error;
  }
}

/** How many of the passages hold each term. */
async function countTerms(
  out: string,
  segment: SegmentRecord,
  passages: readonly number[],
  analyzer: Analyzer,
): Promise<Map<string, number>> {
  const stored = new StoredSegment(out, segment);
  const slice = new TimeSlice();
  const counts = new Map<string, number>();
  try {
    for (const passage of passages) {
      const { title, text } = stored.passage(passage);
      for (const term of new Set(analyzer.terms(`${title}\n${text}`))) counts.set(term, (counts.get(term) ?? 0) + 1);
      if (slice.isOver) await slice.next();
    }
  } finally {
    stored.close();
  }
  return counts;
}

/** The dictionary with places instead of numbers. */
async function readDictionary(out: string, { folder, files, terms }: SegmentRecord): Promise<TermBlock> {
  const read = (name: string): Promise<SharedArrayBuffer> =>
    readChecksummed(join(out, folder, name), files[name], bm25Index.damagedIn(out));
  return {
    text: new Uint8Array(await read(fileNames.terms)),
    offsets: new Uint32Array(await read(fileNames.termOffsets)),
    numbers: Uint32Array.from({ length: terms }, (_, place) => place),
  };
}
