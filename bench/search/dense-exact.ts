/**
 * @file Exact dense search over 100,000 unit vectors of 384 dimensions (2,000 clusters with noise), from an index folder, and encoding with
 * all-MiniLM-L6-v2 where it was fetched. Everything is seeded; files go to a temporary folder and are removed.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { buildDenseIndex } from "../../src/search/dense/index/build.js";
import { openDenseIndex } from "../../src/search/dense/index/open.js";
import { minilm, minilmIsAbsent } from "../../src/search/dense/minilm.test-support.js";
import { OnnxEncoder } from "../../src/search/dense/onnx-encoder.js";
import type { VectorSource } from "../../src/search/dense/vectors/open-vectors.js";
import type { BenchContext, BenchGroup } from "../bench.js";
import { ClusteredVectors, blockSize, dimensions } from "./lancedb-vectors.js";
import type { StoredPassage } from "../../src/types.js";

const topK = 10;
const batchSize = 64;

/** Reports `dense.100k.open`, `.p50`, `.p99`, `.qps` and `.stall`, `dense.encode.query.p50` and `dense.encode.passages`. */
export const bench: BenchGroup = async (context) => {
  if (!context.wants("dense.100k")) return;
  await exactBench(context);
  if (minilmIsAbsent) context.note("dense.encode is left out. `npm run fixtures:minilm` fetches the encoder.");
  else await encodeBench(context);
};

async function exactBench({ report, quick }: BenchContext): Promise<void> {
  const count = quick ? blockSize : 100_000;
  const queryCount = quick ? 100 : 1_000;
  const folder = await mkdtemp(join(tmpdir(), "sleuth-bench-"));
  try {
    const made = new ClusteredVectors();
    const vectors: VectorSource = {
      name: "clusters",
      dimensions,
      count,
      async *rows() {
        for (let first = 0; first < count; first += blockSize) yield { vectors: made.block(first, blockSize) };
      },
      close: async () => {},
    };
    const out = join(folder, "index");
    await buildDenseIndex({ passages: passagesOf(count), out, vectors });
    const queries_Q_E = made.queries(queryCount, count);
    const rows = (first: number, end: number): Float32Array => queries_Q_E.slice(first * dimensions, end * dimensions);

    const opening = performance.now();
    const { nearest } = await openDenseIndex(out);
    await nearest.search(rows(0, 1), topK);
    report({ name: "dense.100k.open", value: performance.now() - opening, unit: "ms" });

    for (let query = 0; query < 50; query++) await nearest.search(rows(query, query + 1), topK);
    const times: number[] = [];
    for (let query = 0; query < queryCount; query++) {
      const started = performance.now();
      await nearest.search(rows(query, query + 1), topK);
      times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    report({ name: "dense.100k.p50", value: times[times.length >> 1], unit: "ms" });
    report({ name: "dense.100k.p99", value: times[Math.floor(times.length * 0.99)], unit: "ms" });

    const started = performance.now();
    for (let first = 0; first < queryCount; first += batchSize)
      await nearest.search(rows(first, Math.min(queryCount, first + batchSize)), topK);
    report({ name: "dense.100k.qps", value: queryCount / ((performance.now() - started) / 1000), unit: "queries/s" });

    // A round of its own: watching takes time from what is watched.
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    for (let first = 0; first < Math.min(queryCount, 5 * batchSize); first += batchSize) {
      await nearest.search(rows(first, Math.min(queryCount, first + batchSize)), topK);
      await nearest.search(rows(first, first + 1), topK);
    }
    delay.disable();
    report({ name: "dense.100k.stall", value: delay.max / 1e6, unit: "ms" });
    await nearest.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function encodeBench({ report, quick }: BenchContext): Promise<void> {
  const queries = await OnnxEncoder.open({ location: minilm });
  const times: number[] = [];
  for (let query = 0; query < (quick ? 20 : 220); query++) {
    const started = performance.now();
    await queries.encode([`who was the first person of number ${query} on the moon`], "query");
    times.push(performance.now() - started);
  }
  await queries.close();
  // The first ones wait for pages of memory.
  const steady = times.slice(times.length > 20 ? 20 : 0).sort((a, b) => a - b);
  report({ name: "dense.encode.query.p50", value: steady[steady.length >> 1], unit: "ms" });

  // As for a corpus: a worker for each of two cores.
  const corpus = await OnnxEncoder.open({ location: minilm }, { workers: 2 });
  const passages = Array.from({ length: quick ? 64 : 1_024 }, (_, number) => passageText(number));
  await corpus.encode(passages.slice(0, 64), "passage");
  const started = performance.now();
  for (let first = 0; first < passages.length; first += 256)
    await corpus.encode(passages.slice(first, first + 256), "passage");
  const seconds = (performance.now() - started) / 1000;
  report({ name: "dense.encode.passages", value: passages.length / seconds, unit: "passages/s" });
  await corpus.close();
}

async function* passagesOf(count: number): AsyncGenerator<StoredPassage[]> {
  for (let first = 0; first < count; first += blockSize)
    yield Array.from({ length: blockSize }, (_, index) => ({
      id: String(first + index),
      title: `Passage ${first + index}`,
      text: passageText(first + index),
    }));
}

const words = "the capital of a country is where its government sits and most of its people do not live near it".split(
  " ",
);

/** 60 to 140 words. */
function passageText(number: number): string {
  return Array.from(
    { length: 60 + ((number * 37) % 81) },
    (_, place) => words[(number + place * 7) % words.length],
  ).join(" ");
}
