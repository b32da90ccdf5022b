/** @file Passages at hand to an index in memory, without blocking the caller's thread. */
import { Analyzer } from "../text/analyzer.js";
import type { AnalyzerSettings } from "../text/analyzer.js";
import { WorkerPool } from "../../workers/pool.js";
import { Inverter, offsetsOf } from "./invert.js";
import type { Bm25Settings } from "./settings.js";
import { checkRanking, defaultBm25 } from "./settings.js";
import { frequencyArray, termBlockOf } from "./snapshot.js";
import type { Bm25Snapshot, IndexSegment } from "./snapshot.js";
import type { StoredPassage } from "../../types.js";

/** Passages that are indexed in this thread at once: some 15 ms. */
const passagesAtOnce = 200;
/** Passages handed over at a time: a copy of some 2 ms. */
const passagesPerTask = 1_000;

export type IndexTask = { passages: readonly Pick<StoredPassage, "title" | "text">[] } | "finish";

/** As {@link snapshotInMemory}, in a worker where that would hold up this thread. */
export async function indexPassages(
  passages: readonly StoredPassage[],
  settings: Partial<Bm25Settings> = {},
): Promise<Bm25Snapshot> {
  if (passages.length <= passagesAtOnce) return snapshotInMemory(passages, settings);
  const filled = filledIn(settings);
  const segment = await indexInWorker(passages, filled.analyzer);
  return snapshotOf(segment, filled);
}

/**
 * Indexes passages at once, in this thread.
 * @throws UserError for settings out of range.
 */
export function snapshotInMemory(passages: readonly StoredPassage[], settings: Partial<Bm25Settings>): Bm25Snapshot {
  const filled = filledIn(settings);
  const inverter = new Inverter(new Analyzer(filled.analyzer));
  for (const { title, text } of passages) inverter.add(title, text);
  return snapshotOf(segmentOf(inverter), filled);
}

interface FilledSettings {
  k1: number;
  b: number;
  analyzer: AnalyzerSettings;
}

function filledIn(settings: Partial<Bm25Settings>): FilledSettings {
  const { k1, b, analyzer } = { ...defaultBm25, ...settings };
  checkRanking(k1, b);
  return { k1, b, analyzer: new Analyzer(analyzer).settings };
}

function snapshotOf(segment: IndexSegment, settings: FilledSettings): Bm25Snapshot {
  return {
    ...settings,
    segments: [segment],
    passages: segment.lengths.length,
    totalLength: segment.lengths.reduce((sum, length) => sum + length, 0),
    deletedFrequencies: new Map(),
  };
}

async function indexInWorker(passages: readonly StoredPassage[], analyzer: AnalyzerSettings): Promise<IndexSegment> {
  const module = new URL("./index-worker", import.meta.url);
  const pool = await WorkerPool.open<IndexTask, IndexSegment | null>({
    name: "bm25 index",
    module,
    workers: 1,
    data: analyzer,
  });
  try {
    for (let first = 0; first < passages.length; first += passagesPerTask) {
      const some = passages.slice(first, first + passagesPerTask);
      await pool.run({ passages: some.map(({ title, text }) => ({ title, text })) });
    }
    const segment = await pool.run("finish");
    if (segment === null) throw new Error("internal: an index without a segment");
    return segment;
  } finally {
    await pool.close();
  }
}

/** What an inverter has gathered, as a segment. */
export function segmentOf(inverter: Inverter): IndexSegment {
  const run = inverter.takeRun();
  const frequencies = frequencyArray(run.maxFrequency, run.frequencies.length);
  frequencies.set(run.frequencies);
  return {
    firstPassage: 0,
    terms: termBlockOf(new Map(run.terms.map((term, place) => [term, place]))),
    lengths: run.lengths,
    postingOffsets: offsetsOf(run.counts),
    postingPassages: run.passages,
    postingFrequencies: frequencies,
  };
}
