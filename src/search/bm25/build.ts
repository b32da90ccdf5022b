/**
 * @file `sleuth index`: a corpus becomes an index folder, in bounded memory, all or nothing. Stretches of the corpus are inverted on several
 * workers at once, and a worker of its own writes their runs in order. Little text is indexed in this thread, in short pieces.
 */
import { drain, mapAhead } from "../../async.js";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Analyzer } from "../text/analyzer.js";
import type { AnalyzerSettings } from "../text/analyzer.js";
import { WorkerPool } from "../../workers/pool.js";
import { removeQuietly } from "../../files/disk.js";
import { commitIndex, indexWriteError, removeUnneeded } from "./commit.js";
import { manifestOf, readManifest } from "./format.js";
import { Inverter } from "./invert.js";
import { checkTarget, manifestName, newGeneration, withIndexLock } from "../index-folder.js";
import { buffersOf, invertParts } from "./run.js";
import type { Part, Run } from "./run.js";
import { SegmentBuilder } from "./segment-writer.js";
import type { BuildOrder, Built, Conflict } from "./segment-writer.js";
import { checkRanking, defaultBm25 } from "./settings.js";
import type { Bm25Settings } from "./settings.js";
import { sourceOf } from "./source.js";
import type { Source, SourceOptions } from "./source.js";
import type { Existing } from "./stored-segment.js";
import type { WriteAnswer, WriteOrder, WriteTask } from "./write-worker.js";

/** Options of everything that writes much. */
export interface WorkOptions {
  /** Threads that analyse text. 0: all work is done in this thread, in short pieces. Default: one for each core, at most 4; 0 for little text. */
  workers?: number;
  /** The part of the final merge that is done, 0 to 1. */
  onMerge?: (fraction: number) => void;
  /** Cancels; what was in the index before stays. */
  signal?: AbortSignal;
}

export interface GrowOptions extends SourceOptions, WorkOptions {
  /** Passages indexed so far, told once a run. */
  onPassages?: (passages: number) => void;
  /** Bytes of corpus in one run: the measure of memory (about 4 times as much a worker). Default: 32 MiB. */
  runBytes?: number;
}

/** Besides what follows: where the passages come from (`corpus` or `passages`), and how the work is done. */
export interface BuildIndexOptions extends GrowOptions {
  /** Folder of the index: new, empty, or an index that is replaced. */
  out: string;
  settings?: Partial<Bm25Settings>;
}

export interface IndexSummary {
  out: string;
  passages: number;
  terms: number;
  postings: number;
  /** Mean number of terms in a passage. */
  meanLength: number;
  /** Size of the index on disk. */
  bytes: number;
}

/**
 * Builds an index. An index that stood in `out` stays whole and usable until the new one replaces it in one step, and for
 * good when the build fails, is cancelled or is killed. What a killed build left is removed by the next writer.
 * @throws UserError for a malformed corpus, a repeated id, a source without passages, a folder that is not an index, a full disk; `IndexBusy`
 * (a UserError) when another writer is at work in `out`; the signal's reason when cancelled.
 */
export async function buildIndex(options: BuildIndexOptions): Promise<IndexSummary> {
  const { out } = options;
  const { k1, b, analyzer } = { ...defaultBm25, ...options.settings };
  checkRanking(k1, b);
  const { settings } = new Analyzer(analyzer);
  checkTarget(out, { engine: "dense", file: "vectors.f32" });
  try {
    return await withIndexLock(out, async () => {
      await removeLeftovers(out);
      const { record } = await growSegment({ out, analyzer: settings, existing: [], replace: false }, options);
      const manifest = manifestOf({ analyzer: settings, k1, b, segments: [record] });
      commitIndex(out, manifest, record.folder);
      const { passages, terms, postings, totalLength } = record;
      const bytes = Object.values(record.files).reduce((sum, file) => sum + file.bytes, 0);
      return { out, passages, terms, postings, meanLength: totalLength / passages, bytes };
    });
  } catch (error) {
    throw indexWriteError(out, error);
  }
}

/** Removes what killed writers left, so that it takes no room on the disk meanwhile. */
async function removeLeftovers(out: string): Promise<void> {
  const nothing = { segments: [] };
  // Of an index that cannot be read, everything stays until it is replaced.
  const current = existsSync(join(out, manifestName)) ? await readManifest(out).catch(() => undefined) : nothing;
  if (current !== undefined) removeUnneeded(out, current);
}

interface GrowTarget {
  out: string;
  analyzer: AnalyzerSettings;
  existing: readonly Existing[];
  replace: boolean;
}

const defaultRunBytes = 32 * 1024 * 1024;
/** Below this, starting workers costs more than they save. */
const smallBytes = 1024 * 1024;

/** Writes a source as a new segment. The caller commits it; when it cannot, it removes the folder. */
export async function growSegment(target: GrowTarget, options: GrowOptions): Promise<Built> {
  const { out, existing, replace, analyzer } = target;
  const { signal, runBytes = defaultRunBytes } = options;
  const source = await sourceOf(options);
  const folder = newGeneration();
  try {
    const stretches = source.stretches(runBytes, signal);
    return await write({ out, folder, existing, replace }, analyzer, stretches, source, options);
  } catch (error) {
    removeQuietly(join(out, folder));
    throw error;
  }
}

async function write(
  order: BuildOrder,
  analyzer: AnalyzerSettings,
  stretches: AsyncGenerator<Part[]>,
  source: Source,
  options: GrowOptions,
): Promise<Built> {
  const { signal, onMerge, onPassages } = options;
  const first = await stretches.next();
  if (first.done) throw source.empty();
  const workers = workersFor(options, first.value);
  const inverters = await openInverters(analyzer, workers);
  let builder: Builder | undefined;
  try {
    builder =
      workers > 0 ? await openBuilder({ build: order }, signal) : inThisThread(new SegmentBuilder(order), signal);
    const invert = async (
      { parts, isLast }: Stretch,
      aborted: AbortSignal,
    ): Promise<{ run: Run; isLast: boolean }> => ({
      run: await inverters.invert(parts, aborted),
      isLast,
    });
    let passages = 0;
    for await (const { run, isLast } of mapAhead(allOf(first.value, stretches), workers + 2, invert, { signal })) {
      const conflict = await builder.addRun(run, isLast);
      if (conflict !== undefined) throw await source.conflict(order.out, conflict);
      passages += run.passages;
      onPassages?.(passages);
      signal?.throwIfAborted();
    }
    if (passages === 0) throw source.empty();
    return await builder.finish(onMerge);
  } finally {
    await Promise.all([inverters.close(), builder?.close()]);
    await stretches.return(undefined);
  }
}

interface Stretch {
  parts: Part[];
  isLast: boolean;
}

/** Stretches, each once it is known whether another one follows. */
async function* allOf(first: Part[], rest: AsyncIterable<Part[]>): AsyncGenerator<Stretch> {
  let parts = first;
  for await (const next of rest) {
    yield { parts, isLast: false };
    parts = next;
  }
  yield { parts, isLast: true };
}

interface Inverters {
  invert(parts: Part[], signal: AbortSignal): Promise<Run>;
  close(): Promise<void>;
}

async function openInverters(settings: AnalyzerSettings, workers: number): Promise<Inverters> {
  if (workers === 0) {
    const inverter = new Inverter(new Analyzer(settings));
    let last: Promise<unknown> = Promise.resolve();
    return {
      // One after the other: they share the inverter.
      invert(parts, signal) {
        const run = last.then(() => drain(invertParts(parts, inverter), { signal }));
        last = run.catch(() => undefined);
        return run;
      },
      close: async () => undefined,
    };
  }
  const module = new URL("./invert-worker", import.meta.url);
  const pool = await WorkerPool.open<Part[], Run>({ name: "indexing", module, workers, data: settings });
  return {
    invert: (parts, signal) =>
      pool.run(parts, { signal, transfer: parts.map(({ bytes }) => bytes.buffer as ArrayBuffer) }),
    close: () => pool.close(),
  };
}

interface Builder {
  addRun(run: Run, isLast: boolean): Promise<Conflict | undefined>;
  finish(onMerge?: (fraction: number) => void): Promise<Built>;
  close(): Promise<void>;
}

function inThisThread(builder: SegmentBuilder, signal?: AbortSignal): Builder {
  return {
    addRun: async (run, isLast) => builder.addRun(run, isLast),
    async finish(onMerge) {
      return drain(builder.finish(), { signal, onStep: onMerge });
    },
    close: async () => builder.abandon(),
  };
}

async function openBuilder(order: WriteOrder, signal?: AbortSignal): Promise<Builder> {
  const pool = await openWriter(order);
  return {
    async addRun(run, isLast) {
      const answer = await pool.run({ run, isLast }, { signal, transfer: buffersOf(run) });
      return "conflict" in answer ? answer.conflict : undefined;
    },
    async finish(onMerge) {
      return (await finishIn(pool, { signal, onMerge })) as Built;
    },
    close: () => pool.close(),
  };
}

/** A worker that writes one segment. */
export function openWriter(order: WriteOrder): Promise<WorkerPool<WriteTask, WriteAnswer>> {
  const module = new URL("./write-worker", import.meta.url);
  return WorkerPool.open<WriteTask, WriteAnswer>({ name: "index writing", module, workers: 1, data: order });
}

/** Lets a writer come to its end. */
export async function finishIn(
  pool: WorkerPool<WriteTask, WriteAnswer>,
  { signal, onMerge }: Pick<WorkOptions, "signal" | "onMerge">,
): Promise<unknown> {
  for (;;) {
    const answer = await pool.run("finish", { signal });
    if ("result" in answer) return answer.result;
    if ("fraction" in answer) onMerge?.(answer.fraction);
  }
}

function workersFor({ workers, runBytes = defaultRunBytes }: GrowOptions, first: readonly Part[]): number {
  if (workers !== undefined) return workers;
  const firstBytes = first.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return firstBytes < Math.min(smallBytes, runBytes) ? 0 : Math.min(4, availableParallelism());
}
