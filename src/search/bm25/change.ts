/** @file An index changes: passages are added, replaced and deleted, segments merged. Every change is on the disk before its call returns. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Analyzer } from "../text/analyzer.js";
import { IdPlaces, hashId } from "../id-table.js";
import { putInForce, tidy, writeError } from "./commit.js";
import { diskFiles } from "../../files/disk.js";
import type { OutputFiles } from "../../files/disk.js";
import { fileNames, livingIn, readManifest } from "./format.js";
import type { Manifest, SegmentRecord } from "./format.js";
import { finishIn, growSegment, newFolder, openWriter } from "./grow.js";
import type { GrowOptions, WorkOptions } from "./grow.js";
import { withIndexLock } from "../index-lock.js";
import { removeQuietly } from "../../files/disk.js";
import { defaultMergePolicy, planMerge } from "./merge-policy.js";
import type { MergePlan, MergePolicy } from "./merge-policy.js";
import { mergeSegments } from "./merge-segments.js";
import { drain } from "./pause.js";
import { verifyFile } from "../../files/checksummed-read.js";
import { livingWithIds, maxPostings } from "./segment-builder.js";
import type { Existing } from "./segment-builder.js";
import { bury, readTombstones } from "./tombstones.js";
import { commit, manifestName } from "../../files/checksummed-manifest.js";

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
  /** Why merging afterwards failed. The change itself is in force. */
  mergeFailure?: string;
}

export interface AddSummary extends IndexState {
  added: number;
  replaced: number;
  /** Passages that an earlier, interrupted call had indexed already. */
  resumed: number;
}

export interface DeleteSummary extends IndexState {
  deleted: number;
  /** Ids that no living passage has, in the order given. */
  unknown: string[];
}

/**
 * Adds passages behind those that are there. All of them are in the index when the call returns, and none when it fails, is cancelled or is killed;
 * a cancelled or killed call goes on when it is repeated, as `buildIndex` does. Engines that are open keep what they opened.
 * @throws UserError for a malformed corpus, an id that occurs twice or (without `replace`) is in the index, no passages at all, a missing or
 * damaged index, a full disk; `IndexBusy` when another writer is at work; the signal's reason when cancelled.
 */
export async function addToIndex(options: AddOptions): Promise<AddSummary> {
  const { folder, files = diskFiles, replace = false } = options;
  return changing(folder, async (manifest) => {
    const { analyzer, segments } = manifest;
    const context = [
      "add",
      createHash("sha256")
        .update(await readFile(join(folder, manifestName)))
        .digest("hex"),
    ];
    const existing = await existingOf(folder, segments);
    const target = { out: folder, analyzer, existing, replace, context };
    const { record, replaced, resumed } = await growSegment(target, options);
    let changed: Manifest;
    try {
      changed = { ...manifest, segments: [...(await buryAll(folder, manifest, replaced, files)), record] };
    } catch (error) {
      removeQuietly(join(folder, record.folder), files);
      throw error;
    }
    putInForce(folder, changed, record.folder, files);
    tidy(folder, changed, files, false);
    const count = replaced.reduce((sum, passages) => sum + passages.length, 0);
    return { added: record.passages, replaced: count, resumed, ...(await settle(changed, options)) };
  });
}

/**
 * Deletes passages by their ids. Ids that are not there are told, and no error.
 * @throws UserError for a missing or damaged index, a full disk; `IndexBusy` when another writer is at work.
 */
export async function deleteFromIndex(options: DeleteOptions): Promise<DeleteSummary> {
  const { folder, files = diskFiles, signal } = options;
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
    const changed = { ...manifest, segments: await buryAll(folder, manifest, doomed, files) };
    commit(folder, changed, files);
    tidy(folder, changed, files, true);
    return { deleted: found.size, unknown, ...(await settle(changed, options)) };
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
      // Where nothing was alive, what follows has moved here.
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

/** Does `work` on the current manifest while nobody else changes the index; errors of the disk in words. */
async function changing<T>(folder: string, work: (manifest: Manifest) => Promise<T>): Promise<T> {
  // First: a lock would make the folder.
  await readManifest(folder);
  try {
    return await withIndexLock(folder, async () => work(await readManifest(folder)));
  } catch (error) {
    throw writeError(folder, error);
  }
}

/** What is needed to find ids; checked. */
async function existingOf(folder: string, segments: readonly SegmentRecord[]): Promise<Existing[]> {
  const existing: Existing[] = [];
  for (const record of segments) {
    for (const name of [fileNames.idHashes, fileNames.passageOffsets, fileNames.passageChecks])
      if (name in record.files) await verifyFile(folder, join(folder, record.folder, name), record.files[name]);
    existing.push({ record, deleted: (await readTombstones(folder, record)).passages });
  }
  return existing;
}

/** Buries passages of every segment; a segment of which nothing is alive stays until it is merged away. */
async function buryAll(
  folder: string,
  { segments, analyzer }: Manifest,
  doomed: readonly (readonly number[])[],
  files: OutputFiles,
): Promise<SegmentRecord[]> {
  const buried: SegmentRecord[] = [];
  for (const [index, segment] of segments.entries())
    buried.push(await bury(folder, segment, doomed[index], new Analyzer(analyzer), files));
  return buried;
}

/** Merges as the policy says. A failure is told, and no error: what was asked for is done. */
async function settle(manifest: Manifest, options: ChangeOptions): Promise<IndexState> {
  const { folder, merge } = options;
  if (merge === false) return stateOf(folder, manifest);
  const policy = { ...defaultMergePolicy, ...merge };
  let current = manifest;
  try {
    for (let plan = planOf(current, policy); plan !== undefined; plan = planOf(current, policy))
      current = await mergeOnce(current, plan, options);
  } catch (error) {
    const why = writeError(folder, error);
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

/** Replaces some neighbouring segments by one, or by none when nothing of them is alive. */
async function mergeOnce(
  manifest: Manifest,
  { start, end }: MergePlan,
  { folder: out, files = diskFiles, signal, onMerge, workers }: WorkOptions & { folder: string },
): Promise<Manifest> {
  const merged = manifest.segments.slice(start, end);
  const rest = (replacement: SegmentRecord[]): Manifest => ({
    ...manifest,
    segments: [...manifest.segments.slice(0, start), ...replacement, ...manifest.segments.slice(end)],
  });
  const living = merged.reduce((sum, segment) => sum + livingIn(segment), 0);
  if (living === 0) {
    commit(out, rest([]), files);
    tidy(out, rest([]), files, true);
    return rest([]);
  }
  // What is damaged must not be sealed anew.
  for (const { folder, files: seals } of merged)
    for (const [name, seal] of Object.entries(seals)) await verifyFile(out, join(out, folder, name), seal);
  const segments: Existing[] = [];
  for (const record of merged) segments.push({ record, deleted: (await readTombstones(out, record)).passages });
  const order = { out, folder: newFolder(), segments };
  const inWorker = files === diskFiles && (workers === undefined ? living > smallMerge : workers > 0);
  let record: SegmentRecord;
  try {
    record = inWorker
      ? await mergeInWorker(order, { signal, onMerge })
      : await drain(mergeSegments(order, files), { signal, onStep: onMerge });
  } catch (error) {
    removeQuietly(join(out, order.folder), files);
    throw error;
  }
  putInForce(out, rest([record]), order.folder, files);
  tidy(out, rest([record]), files, true);
  return rest([record]);
}

async function mergeInWorker(
  order: Parameters<typeof mergeSegments>[0],
  options: Pick<WorkOptions, "signal" | "onMerge">,
): Promise<SegmentRecord> {
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
