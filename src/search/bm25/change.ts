/** @file An index changes: passages are added, replaced and deleted, segments merged. Every change is on the disk before its call returns. */
import { drain } from "../../async.js";
import { join } from "node:path";
import { Analyzer } from "../text/analyzer.js";
import { IdPlaces, hashId } from "../id-table.js";
import { commitIndex, indexWriteError, removeUnneeded } from "./commit.js";
import { bm25Index, fileNames, livingIn, maxPostings, readManifest } from "./format.js";
import type { Manifest, SegmentRecord } from "./format.js";
import { finishIn, growSegment, openWriter } from "./build.js";
import type { GrowOptions, WorkOptions } from "./build.js";
import { newGeneration, withIndexLock } from "../index-folder.js";
import { removeQuietly } from "../../files/disk.js";
import { defaultMergePolicy, planMerge } from "./merge-policy.js";
import type { MergePlan, MergePolicy } from "./merge-policy.js";
import { verifyFile } from "../../files/checksummed-file.js";
import { mergeSegments } from "./segment-writer.js";
import type { MergeOrder } from "./segment-writer.js";
import { livingWithIds } from "./stored-segment.js";
import type { Existing } from "./stored-segment.js";
import { deletePassages, readTombstones } from "./tombstones.js";

interface ChangeOptions extends WorkOptions {
  /** Folder of the index. */
  folder: string;
  /** When segments are merged afterwards; false: never. */
  merge?: Partial<MergePolicy> | false;
}

export interface AddOptions extends ChangeOptions, GrowOptions {
  /** Whether new passages take the place of those that have their ids; otherwise an id that is there already is an error. Default: false. */
  replace?: boolean;
}

export interface DeleteOptions extends ChangeOptions {
  ids: readonly string[];
}

/** The index after a change. */
export interface IndexState {
  folder: string;
  /** Passages that are not deleted. */
  passages: number;
  segments: number;
  /** Why merging afterwards failed. The change itself is committed. */
  mergeFailure?: string;
}

export interface AddSummary extends IndexState {
  added: number;
  replaced: number;
}

export interface DeleteSummary extends IndexState {
  deleted: number;
  /** Ids that no living passage has, in the order given. */
  unknown: string[];
}

/**
 * Adds passages behind those that are there. All of them are in the index when the call returns, and none when it fails, is cancelled or is killed.
 * Engines that are open keep what they opened.
 * @throws UserError for a malformed corpus, an id that occurs twice or (without `replace`) is in the index, no passages at all, a missing or
 * damaged index, a full disk; `IndexBusy` when another writer is at work; the signal's reason when cancelled.
 */
export async function addToIndex(options: AddOptions): Promise<AddSummary> {
  const { folder, replace = false } = options;
  return changing(folder, async (manifest) => {
    const { analyzer, segments } = manifest;
    const existing = await existingOf(folder, segments);
    const { record, replaced } = await growSegment({ out: folder, analyzer, existing, replace }, options);
    let changed: Manifest;
    try {
      changed = { ...manifest, segments: [...(await deleteAll(folder, manifest, replaced)), record] };
    } catch (error) {
      removeQuietly(join(folder, record.folder));
      throw error;
    }
    commitIndex(folder, changed, record.folder);
    const count = replaced.reduce((sum, passages) => sum + passages.length, 0);
    return { added: record.passages, replaced: count, ...(await mergeByPolicy(changed, options)) };
  });
}

/**
 * Deletes passages by their ids. Missing ids are reported; they are no error.
 * @throws UserError for a missing or damaged index, a full disk; `IndexBusy` when another writer is at work.
 */
export async function deleteFromIndex(options: DeleteOptions): Promise<DeleteSummary> {
  const { folder, signal } = options;
  const ids = [...new Set(options.ids)];
  return changing(folder, async (manifest) => {
    const places = new IdPlaces();
    for (const [place, id] of ids.entries()) places.add(...hashId(id), place);
    const found = new Set<number>();
    const doomed: number[][] = [];
    for (const segment of await existingOf(folder, manifest.segments)) {
      const hits = await drain(
        livingWithIds(folder, segment, places, (place) => ids[place]),
        { signal },
      );
      for (const [, place] of hits) found.add(place);
      doomed.push(hits.map(([passage]) => passage));
    }
    const unknown = ids.filter((_, place) => !found.has(place));
    if (found.size === 0) return { deleted: 0, unknown, ...stateOf(folder, manifest) };
    const changed = { ...manifest, segments: await deleteAll(folder, manifest, doomed) };
    commitIndex(folder, changed);
    return { deleted: found.size, unknown, ...(await mergeByPolicy(changed, options)) };
  });
}

/**
 * Merges all segments into one (or as few as hold all postings) and drops what was deleted: afterwards the index is as if it were built anew.
 * @throws UserError for a missing or damaged index, a full disk; `IndexBusy` when another writer is at work; the signal's reason when cancelled.
 */
export async function mergeIndex(options: Omit<ChangeOptions, "merge">): Promise<IndexState> {
  const { folder } = options;
  return changing(folder, async (manifest) => {
    let current = manifest;
    for (let start = 0; start < current.segments.length;) {
      const plan = wholeMerge(current.segments, start);
      const before = current.segments.length;
      if (plan !== undefined) current = await mergeOnce(current, plan, options);
      // If no passage was left in them, the following segments have moved here.
      const isGone = plan !== undefined && before - current.segments.length === plan.end - plan.start;
      if (!isGone) start++;
    }
    return stateOf(folder, current);
  });
}

/** The longest stretch from `start` on that fits one segment; undefined when it is a single one without deletions. */
function wholeMerge(segments: readonly SegmentRecord[], start: number): MergePlan | undefined {
  let end = start + 1;
  let { postings } = segments[start];
  while (end < segments.length && postings + segments[end].postings <= maxPostings)
    postings += segments[end++].postings;
  return end - start === 1 && segments[start].tombstones === undefined ? undefined : { start, end };
}

/** Runs `work` on the current manifest under the index's lock; errors of the disk become messages. */
async function changing<T>(folder: string, work: (manifest: Manifest) => Promise<T>): Promise<T> {
  // First: a lock would make the folder.
  await readManifest(folder);
  try {
    return await withIndexLock(folder, async () => {
      const manifest = await readManifest(folder);
      removeUnneeded(folder, manifest);
      return work(manifest);
    });
  } catch (error) {
    throw indexWriteError(folder, error);
  }
}

/** What is needed to find ids; checked. */
async function existingOf(folder: string, segments: readonly SegmentRecord[]): Promise<Existing[]> {
  const existing: Existing[] = [];
  for (const record of segments) {
    for (const name of [fileNames.idHashes, fileNames.passageOffsets, fileNames.passageChecks])
      if (name in record.files)
        await verifyFile(join(folder, record.folder, name), record.files[name], bm25Index.damagedIn(folder));
    existing.push({ record, deleted: (await readTombstones(folder, record)).passages });
  }
  return existing;
}

/** Deletes passages of every segment; a segment with no passage left stays until it is merged away. */
async function deleteAll(
  folder: string,
  { segments, analyzer }: Manifest,
  doomed: readonly (readonly number[])[],
): Promise<SegmentRecord[]> {
  const changed: SegmentRecord[] = [];
  for (const [index, segment] of segments.entries())
    changed.push(await deletePassages(folder, segment, doomed[index], new Analyzer(analyzer)));
  return changed;
}

/** Merges as the policy says. A failure is reported, not thrown: the requested change is committed. */
async function mergeByPolicy(manifest: Manifest, options: ChangeOptions): Promise<IndexState> {
  const { folder, merge } = options;
  if (merge === false) return stateOf(folder, manifest);
  const policy = { ...defaultMergePolicy, ...merge };
  let current = manifest;
  try {
    for (let plan = planOf(current, policy); plan !== undefined; plan = planOf(current, policy))
      current = await mergeOnce(current, plan, options);
  } catch (error) {
    const why = indexWriteError(folder, error);
    return { ...stateOf(folder, current), mergeFailure: why instanceof Error ? why.message : String(why) };
  }
  return stateOf(folder, current);
}

function planOf({ segments }: Manifest, policy: MergePolicy): MergePlan | undefined {
  const sizes = segments.map((segment) => ({
    passages: segment.passages,
    deleted: segment.passages - livingIn(segment),
    postings: segment.postings,
  }));
  return planMerge(sizes, policy, maxPostings);
}

/** Above this many passages, merging is given to a worker. */
const smallMerge = 2_000;

/** Replaces some neighbouring segments by one, or by none when no passage of them is left. */
async function mergeOnce(
  manifest: Manifest,
  { start, end }: MergePlan,
  options: WorkOptions & { folder: string },
): Promise<Manifest> {
  const { folder: out, workers } = options;
  const merged = manifest.segments.slice(start, end);
  const replacedBy = (records: SegmentRecord[]): Manifest => ({
    ...manifest,
    segments: [...manifest.segments.slice(0, start), ...records, ...manifest.segments.slice(end)],
  });
  const living = merged.reduce((sum, segment) => sum + livingIn(segment), 0);
  if (living === 0) {
    commitIndex(out, replacedBy([]));
    return replacedBy([]);
  }
  // What is damaged must not be given a checksum that fits.
  for (const { folder, files } of merged)
    for (const [name, checksum] of Object.entries(files))
      await verifyFile(join(out, folder, name), checksum, bm25Index.damagedIn(out));
  const segments: Existing[] = [];
  for (const record of merged) segments.push({ record, deleted: (await readTombstones(out, record)).passages });
  const order = { out, folder: newGeneration(), segments };
  const inWorker = workers === undefined ? living > smallMerge : workers > 0;
  let record: SegmentRecord;
  try {
    record = await (inWorker ? mergeInWorker(order, options) : mergeHere(order, options));
  } catch (error) {
    removeQuietly(join(out, order.folder));
    throw error;
  }
  commitIndex(out, replacedBy([record]), order.folder);
  return replacedBy([record]);
}

async function mergeHere(order: MergeOrder, { signal, onMerge }: WorkOptions): Promise<SegmentRecord> {
  return drain(mergeSegments(order), { signal, onStep: onMerge });
}

async function mergeInWorker(order: MergeOrder, options: WorkOptions): Promise<SegmentRecord> {
  const pool = await openWriter({ merge: order });
  try {
    return (await finishIn(pool, options)) as SegmentRecord;
  } finally {
    await pool.close();
  }
}

function stateOf(folder: string, { segments }: Manifest): IndexState {
  return { folder, passages: segments.reduce((sum, segment) => sum + livingIn(segment), 0), segments: segments.length };
}
