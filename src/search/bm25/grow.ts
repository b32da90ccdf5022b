/**
 * @file A source becomes a new segment: stretches of it are inverted on several workers at once, their runs are taken in order by a builder on a
 * worker of its own. Small sources, and tests that make the disk fail, do all of it in this thread, in short pieces.
 */
import { createHash, randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Analyzer } from "../text/analyzer.js";
import type { AnalyzerSettings } from "../text/analyzer.js";
import { WorkerPool } from "../../workers/pool.js";
import { findInterrupted, isInterrupted } from "./checkpoint.js";
import { diskFiles } from "../../files/disk.js";
import type { OutputFiles } from "../../files/disk.js";
import { Inverter } from "./inverter.js";
import { removeQuietly } from "../../files/disk.js";
import { drain } from "./pause.js";
import { buffersOf, invertParts } from "./run.js";
import type { Part, Run } from "./run.js";
import { SegmentBuilder } from "./segment-builder.js";
import type { BuilderOptions, Built, Conflict, Existing } from "./segment-builder.js";
import { beginning, sourceOf } from "./source.js";
import type { Source, SourceOptions, Stretch } from "./source.js";
import type { SourcePlace } from "./checkpoint.js";
import type { WriteAnswer, WriteOrder, WriteTask } from "./write-worker.js";
import { generationPrefix } from "../../files/checksummed-manifest.js";

/** Options of everything that writes much. */
export interface WorkOptions {
  /** Threads that analyse text. 0: all work is done in this thread, in short pieces. Default: one for each core, at most 4; 0 for little text. */
  workers?: number;
  /** The part of the final merge that is done, 0 to 1. */
  onMerge?: (fraction: number) => void;
  /** Cancels; what was in the index before stays. */
  signal?: AbortSignal;
  /** How the disk is changed; for tests. */
  files?: OutputFiles;
}

export interface GrowOptions extends SourceOptions, WorkOptions {
  /** Passages indexed so far, told once a run: those of an interrupted call are among them. */
  onPassages?: (passages: number) => void;
  /** Goes on where an interrupted call with the same source and settings was. Default: true. */
  resume?: boolean;
  /** Bytes of corpus in one run: the work between two checkpoints, and the measure of memory (about 4 times as much a worker). Default: 32 MiB. */
  runBytes?: number;
}

interface GrowTarget {
  out: string;
  analyzer: AnalyzerSettings;
  existing: readonly Existing[];
  replace: boolean;
  /** What else must be the same for a build to go on. */
  context: unknown;
}

export interface Grown extends Built {
  /** Passages that an interrupted call had indexed already. */
  resumed: number;
}

const defaultRunBytes = 32 * 1024 * 1024;
/** Below this, starting workers costs more than they save. */
const smallBytes = 1024 * 1024;

/** Writes the new segment. The caller puts it in force; when it cannot, it removes the folder. */
export async function growSegment(target: GrowTarget, options: GrowOptions): Promise<Grown> {
  const { out, existing, replace } = target;
  const { files = diskFiles, signal, runBytes = defaultRunBytes } = options;
  const source = await sourceOf(options);
  const identity = identityOf(source, target);
  const resumable = source.fingerprint !== undefined && options.resume !== false;
  const interrupted = resumable ? await findInterrupted(out, identity) : undefined;
  const folder = interrupted?.folder ?? newFolder();
  const checkpoint = interrupted?.checkpoint;
  const resumed = (checkpoint?.runs ?? []).reduce((sum, { passages }) => sum + passages, 0);
  const order: BuilderOptions = { out, folder, source: identity, existing, replace, ...(checkpoint && { checkpoint }) };
  try {
    const stretches = source.stretches(runBytes, checkpoint?.next ?? beginning, signal);
    const built = await write(order, target.analyzer, stretches, source, options, resumed);
    return { ...built, resumed };
  } catch (error) {
    // What a cancelled call has done survives in its checkpoint; after an error, it would be in the way.
    const isKept = signal?.aborted === true && source.fingerprint !== undefined && isInterrupted(join(out, folder));
    if (!isKept) removeQuietly(join(out, folder), files);
    throw error;
  }
}

/** A name for the folder of a new segment. */
export function newFolder(): string {
  return `${generationPrefix}${process.pid}-${randomBytes(4).toString("hex")}`;
}

async function write(
  order: BuilderOptions,
  analyzer: AnalyzerSettings,
  stretches: AsyncGenerator<Stretch>,
  source: Source,
  options: GrowOptions,
  resumed: number,
): Promise<Built> {
  const { files = diskFiles, signal, onMerge, onPassages } = options;
  const isResumed = resumed > 0;
  const first = await stretches.next();
  if (first.done && !isResumed) throw source.empty();
  const workers = workersFor(options, first.done ? 0 : first.value.bytes);
  const inverters = await openInverters(analyzer, workers, signal);
  let builder: Builder | undefined;
  try {
    builder =
      workers > 0 ? await openBuilder({ build: order }) : inThisThread(new SegmentBuilder(order, files), signal);
    let passages = 0;
    for await (const { run, next } of runsOf(first, stretches, inverters, workers)) {
      const conflict = await builder.addRun(run, next);
      if (conflict !== undefined) throw await source.conflict(order.out, conflict);
      passages += run.passages;
      onPassages?.(resumed + passages);
      signal?.throwIfAborted();
    }
    if (passages === 0 && !isResumed) throw source.empty();
    return await builder.finish(onMerge);
  } finally {
    await Promise.all([inverters.close(), builder?.close()]);
    await stretches.return(undefined);
  }
}

/** The runs in order, each with the place where the source goes on behind it; none for the last. */
async function* runsOf(
  first: IteratorResult<Stretch>,
  rest: AsyncGenerator<Stretch>,
  inverters: Inverters,
  workers: number,
): AsyncGenerator<{ run: Run; next: SourcePlace | undefined }> {
  const waiting: { run: Promise<Run>; next: SourcePlace }[] = [];
  for (let stretch = first; !stretch.done; stretch = await rest.next()) {
    const { parts, next } = stretch.value;
    const run = inverters.invert(parts);
    // Told where it is waited for.
    run.catch(() => undefined);
    waiting.push({ run, next });
    if (waiting.length <= workers + 1) continue;
    const { run: earliest, next: place } = waiting.shift() as (typeof waiting)[number];
    yield { run: await earliest, next: place };
  }
  while (waiting.length > 0) {
    const { run, next } = waiting.shift() as (typeof waiting)[number];
    yield { run: await run, next: waiting.length > 0 ? next : undefined };
  }
}

interface Inverters {
  invert(parts: Part[]): Promise<Run>;
  close(): Promise<void>;
}

async function openInverters(settings: AnalyzerSettings, workers: number, signal?: AbortSignal): Promise<Inverters> {
  if (workers === 0) {
    const inverter = new Inverter(new Analyzer(settings));
    let last: Promise<unknown> = Promise.resolve();
    return {
      // One after the other: they share the inverter.
      invert(parts) {
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
    invert: (parts) => pool.run(parts, { signal, transfer: parts.map(({ bytes }) => bytes.buffer as ArrayBuffer) }),
    close: () => pool.close(),
  };
}

interface Builder {
  addRun(run: Run, next: SourcePlace | undefined): Promise<Conflict | undefined>;
  finish(onMerge?: (fraction: number) => void): Promise<Built>;
  close(): Promise<void>;
}

function inThisThread(builder: SegmentBuilder, signal?: AbortSignal): Builder {
  return {
    addRun: async (run, next) => builder.addRun(run, next),
    async finish(onMerge) {
      return drain(builder.finish(), { signal, onStep: onMerge });
    },
    close: async () => builder.abandon(),
  };
}

async function openBuilder(order: WriteOrder, signal?: AbortSignal): Promise<Builder> {
  const pool = await openWriter(order);
  return {
    async addRun(run, next) {
      const answer = await pool.run({ run, next }, { signal, transfer: buffersOf(run) });
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
    const answer = await pool.run({ go: true }, { signal });
    if ("result" in answer) return answer.result;
    if ("fraction" in answer) onMerge?.(answer.fraction);
  }
}

function workersFor({ workers, files, runBytes = defaultRunBytes }: GrowOptions, firstBytes: number): number {
  // Another disk than the real one cannot be sent to a worker.
  if (files !== undefined && files !== diskFiles) return 0;
  if (workers !== undefined) return workers;
  return firstBytes < Math.min(smallBytes, runBytes) ? 0 : Math.min(4, availableParallelism());
}

/** What is built, as one hash: a build goes on only when all of it is the same. */
function identityOf(source: Source, { analyzer, replace, context }: GrowTarget): string {
  const what = [source.fingerprint, analyzer, replace, context];
  return createHash("sha256").update(JSON.stringify(what)).digest("hex");
}
