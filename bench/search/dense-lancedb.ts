/**
 * @file Dense search over a million passages of 384 dimensions in a LanceDB table: making it (rows and IVF_PQ index), and searching it from
 * a fresh process, compared with exact search. The table stays in `.cache/bench` and is used again; `dense.1m.build` is then the time
 * that it took when it was made.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { buildLanceTable, planIndex } from "../../src/search/dense/lancedb/build.js";
import type { LanceRows } from "../../src/search/dense/lancedb/build.js";
import { lanceIsAbsent } from "../../src/search/dense/lancedb/library.js";
import type { BenchGroup } from "../bench.js";
import { ClusteredVectors, blockSize, dimensions, exactNearest } from "./lancedb-vectors.js";
import type { CaseFigures, CaseOptions } from "./lancedb-case.js";

/** Tables of another version are made anew. */
const version = 2;
const queryCount = 500;
const topK = 10;

export const parts = ["dense.1m"];

export const unavailable = lanceIsAbsent;

export const bench: BenchGroup = async ({ report, note, quick, wants }) => {
  if (!wants("dense.1m")) return;
  const total = quick ? 20_000 : 1_000_000;
  const folder = join(".cache", "bench", `lancedb-${total}`);
  const table = await benchTable(folder, total, note);
  report({ name: "dense.1m.build", value: table.buildSeconds, unit: "s" });
  report({ name: "dense.1m.index", value: table.indexSeconds, unit: "s, of the build" });

  note("searching from a fresh process");
  const { recall, p50, p99, qps, rssMb, stall } = await searchCase({ folder, topK, dimensions });
  report({ name: "dense.1m.recall", value: recall, unit: "recall@10" });
  report({ name: "dense.1m.p50", value: p50, unit: "ms" });
  report({ name: "dense.1m.p99", value: p99, unit: "ms" });
  report({ name: "dense.1m.qps", value: qps, unit: "queries/s" });
  report({ name: "dense.1m.rss", value: rssMb, unit: "MB" });
  report({ name: "dense.1m.stall", value: stall, unit: "ms" });
  if (quick) await rm(folder, { recursive: true, force: true });
};

interface BenchTable {
  buildSeconds: number;
  indexSeconds: number;
}

async function benchTable(folder: string, total: number, note: (text: string) => void): Promise<BenchTable> {
  const description = join(folder, "table.json");
  const made = { version, total, dimensions, queryCount, index: planIndex(total, dimensions) };
  if (existsSync(description)) {
    const { made: found, ...times } = JSON.parse(await readFile(description, "utf8")) as BenchTable & { made: unknown };
    if (JSON.stringify(found) === JSON.stringify(made)) return times;
  }
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const vectors = new ClusteredVectors();

  note(`making a table of ${total} passages in ${folder}`);
  let waited = 0;
  async function* rows(): AsyncGenerator<LanceRows> {
    for (let first = 0; first < total; first += blockSize) {
      // Making the vectors is none of the table's work.
      const started = performance.now();
      const passages = Array.from({ length: blockSize }, (_, row) => passageOf(first + row));
      const vectors_N_E = vectors.block(first, blockSize);
      waited += performance.now() - started;
      yield { passages, vectors_N_E };
    }
  }
  const started = performance.now();
  let indexing = started;
  await buildLanceTable({
    address: folder,
    encoderName: "bench",
    rows: rows(),
    onProgress: ({ stage, passages }) => {
      if (stage === "indexing") {
        indexing = performance.now();
        note("making the index");
      } else if (passages % 100_000 === 0) note(`${passages} passages`);
    },
  });
  const times = {
    buildSeconds: (performance.now() - started - waited) / 1000,
    indexSeconds: (performance.now() - indexing) / 1000,
  };

  note("comparing every query with every vector");
  const queries_Q_E = vectors.queries(queryCount, total);
  const truth = await exactNearest(vectors, total, queries_Q_E, topK);
  await writeFile(join(folder, "queries.f32"), new Uint8Array(queries_Q_E.buffer));
  await writeFile(join(folder, "truth.json"), JSON.stringify(truth));
  // Written last: without it the table is not whole.
  await writeFile(description, JSON.stringify({ made, ...times }));
  return times;
}

/** A hundred words, so that reading texts costs what it costs. */
function passageOf(number: number): { id: string; title: string; text: string } {
  const words = Array.from({ length: 100 }, (_, place) => `word${(number * 31 + place * 977) % 10_007}`);
  return { id: String(number), title: `Passage ${number}`, text: words.join(" ") };
}

/** Figures of a process that does nothing else. */
export async function searchCase(options: CaseOptions): Promise<CaseFigures> {
  const script = join(import.meta.dirname, "lancedb-case.ts");
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script, JSON.stringify(options)]);
  return JSON.parse(stdout) as CaseFigures;
}
