/** @file A process that opens the bench's table, searches it and says on stdout what that took. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LancePassages } from "../../src/search/dense/lancedb/passages.js";

export interface CaseOptions {
  folder: string;
  topK: number;
  dimensions: number;
  nprobes?: number;
  refineFactor?: number;
}

export interface CaseFigures {
  recall: number;
  p50: number;
  p99: number;
  /** Queries per second, 64 at once. */
  qps: number;
  /** Longest the event loop waited while 64 at once were under way. */
  stall: number;
  rssMb: number;
  openMs: number;
}

const { folder, topK, dimensions, ...settings } = JSON.parse(process.argv[2]) as CaseOptions;
const bytes = await readFile(join(folder, "queries.f32"));
const queries_Q_E = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const truth = JSON.parse(await readFile(join(folder, "truth.json"), "utf8")) as number[][];

const opening = performance.now();
const table = await LancePassages.open({ address: folder, ...settings });
const openMs = performance.now() - opening;
// What is read once stays in memory; that belongs to the first queries.
for (let query = 0; query < 100; query++) await table.search(queryAt(query), topK);

const times: number[] = [];
let found = 0;
for (let query = 0; query < truth.length; query++) {
  const started = performance.now();
  const [list] = await table.search(queryAt(query), topK);
  times.push(performance.now() - started);
  const ids = new Set(list.map(({ id }) => Number(id)));
  found += truth[query].filter((number) => ids.has(number)).length;
}
times.sort((a, b) => a - b);

const stall = watchThread();
const started = performance.now();
const batch = 64;
for (let first = 0; first < truth.length; first += batch)
  await table.search(queries_Q_E.slice(first * dimensions, (first + batch) * dimensions), topK);
const figures: CaseFigures = {
  recall: found / (truth.length * topK),
  p50: times[times.length >> 1],
  p99: times[Math.floor(times.length * 0.99)],
  qps: truth.length / ((performance.now() - started) / 1000),
  stall: stall(),
  // In kilobytes.
  rssMb: process.resourceUsage().maxRSS / 1024,
  openMs,
};
await table.close();
process.stdout.write(JSON.stringify(figures));

function queryAt(query: number): Float32Array {
  return queries_Q_E.slice(query * dimensions, (query + 1) * dimensions);
}

/** Starts watching; the function returned stops and says how long the thread was busy at a stretch, in milliseconds. */
function watchThread(): () => number {
  let longest = 0;
  let last = performance.now();
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    timer = setImmediate(look);
  };
  let timer = setImmediate(look);
  return () => {
    clearImmediate(timer);
    return longest;
  };
}
