/**
 * @file BM25 over invented passages of 100 words: building the index, opening it, and searching it, one query at a time and 64 at once over
 * two workers. Building and searching each have a process of their own, so that their memory is their own.
 */
import { join } from "node:path";
import type { BenchContext, BenchGroup } from "../bench.js";
import type { BuildFigures, SearchFigures } from "./bm25-case.js";
import { runCase } from "../case.js";
import { benchCorpus } from "./corpus.js";
import type { BenchCorpus } from "./corpus.js";

const sizes: Readonly<Record<string, number>> = { "bm25.100k": 100_000, "bm25.1m": 1_000_000 };
const quickSize = 2_000;

export const parts = Object.keys(sizes);

/** Reports `.build`, `.build.rss`, `.open`, `.p50`, `.p99`, `.qps`, `.stall` and `.rss` of each part. */
export const bench: BenchGroup = async (context) => {
  for (const part of parts.filter((name) => context.wants(name)))
    await measure(part, context.quick ? quickSize : sizes[part], context);
};

async function measure(part: string, passages: number, { report, note }: BenchContext): Promise<void> {
  const corpus = await benchCorpus(passages, note);
  note(`indexing ${passages} passages`);
  const built = await buildCase(corpus);
  report({ name: `${part}.build`, value: built.seconds, unit: "s" });
  report({ name: `${part}.build.rss`, value: built.peakMb, unit: "MB" });
  note("searching from a fresh process");
  const { open, p50, p99, qps, stall, peakMb } = await runCase<SearchFigures>("search/bm25-case.ts", {
    do: "search",
    index: indexOf(corpus),
    queries: corpus.queries,
  });
  report({ name: `${part}.open`, value: open, unit: "ms" });
  report({ name: `${part}.p50`, value: p50, unit: "ms" });
  report({ name: `${part}.p99`, value: p99, unit: "ms" });
  report({ name: `${part}.qps`, value: qps, unit: "queries/s" });
  report({ name: `${part}.stall`, value: stall, unit: "ms" });
  report({ name: `${part}.rss`, value: peakMb, unit: "MB" });
}

/** Where the index of a corpus is kept. */
export function indexOf({ folder }: BenchCorpus): string {
  return join(folder, "bm25");
}

/** Builds the index of a corpus anew. */
export function buildCase(corpus: BenchCorpus): Promise<BuildFigures> {
  return runCase<BuildFigures>("search/bm25-case.ts", { do: "build", corpus: corpus.path, out: indexOf(corpus) });
}
