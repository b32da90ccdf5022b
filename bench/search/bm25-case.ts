/** @file One case of the BM25 bench, in a process of its own: builds an index, or opens it and searches. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { json } from "node:stream/consumers";
import { buildIndex } from "../../src/search/bm25/build.js";
import { openIndex } from "../../src/search/bm25/open.js";
import type { SearchEngine } from "../../src/search/engine.js";

export type Bm25Case =
  { do: "build"; corpus: string; out: string } | { do: "search"; index: string; queries: readonly string[] };

export interface BuildFigures {
  seconds: number;
  /** The most memory that the process took, its threads included. */
  peakMb: number;
}

export interface SearchFigures {
  /** Milliseconds from opening to the first answer. */
  open: number;
  /** Milliseconds of a query, one at a time. */
  p50: number;
  p99: number;
  /** Queries per second, 64 at once. */
  qps: number;
  /** The longest that the main thread waited meanwhile, in milliseconds. */
  stall: number;
  peakMb: number;
}

const inFlight = 64;
const topK = 10;
/** Enough for the compiler; few enough that most terms are searched for the first time when the clock runs. */
const warmUp = 200;
const rounds = 5;

const options = (await json(process.stdin)) as Bm25Case;
const figures = options.do === "build" ? await build(options.corpus, options.out) : await search(options);
process.stdout.write(JSON.stringify(figures));

async function build(corpus: string, out: string): Promise<BuildFigures> {
  const started = performance.now();
  await buildIndex({ corpus: [corpus], out });
  return { seconds: (performance.now() - started) / 1000, peakMb: peakMb() };
}

async function search({ index, queries }: { index: string; queries: readonly string[] }): Promise<SearchFigures> {
  const opening = performance.now();
  const engine = await openIndex(index, {}, { workers: 2 });
  await engine.searchBatch(queries.slice(0, 1), topK);
  const open = performance.now() - opening;
  for (const query of queries.slice(0, warmUp)) await engine.searchBatch([query], topK);
  const times: number[] = [];
  for (const query of queries) {
    const started = performance.now();
    await engine.searchBatch([query], topK);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const loads: { qps: number; stall: number }[] = [];
  for (let round = 0; round < rounds; round++) loads.push(await underLoad(engine, queries));
  await engine.close();
  return {
    open,
    p50: times[times.length >> 1],
    p99: times[Math.floor(times.length * 0.99)],
    qps: middle(loads.map(({ qps }) => qps)),
    stall: Math.max(...loads.map(({ stall }) => stall)),
    peakMb: peakMb(),
  };
}

/** Callers that ask one query after another. */
async function underLoad(engine: SearchEngine, queries: readonly string[]): Promise<{ qps: number; stall: number }> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < queries.length) await engine.searchBatch([queries[next++]], topK);
  };
  delays.enable();
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, caller));
  const seconds = (performance.now() - started) / 1000;
  delays.disable();
  return { qps: queries.length / seconds, stall: delays.max / 1e6 };
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function peakMb(): number {
  return process.resourceUsage().maxRSS / 1024;
}
