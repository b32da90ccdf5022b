/**
 * @file BM25 beside other libraries, both sides in one run and in turns: bm25s and rank_bm25 (Python), and LanceDB's full-text search. The same
 * passages, queries, k1 and b (LanceDB's are fixed), ten passages with their texts for each query. Ratios are rates, ours over theirs:
 * above 1, ours is faster.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../src/errors.js";
import { Bm25Engine } from "../../src/search/bm25/engine.js";
import { readIndex } from "../../src/search/bm25/open.js";
import { PassagesInMemory } from "../../src/search/passages.js";
import { readCorpus } from "../../src/search/documents/corpus.js";
import { lanceIsAbsent } from "../../src/search/dense/lancedb/library.js";
import type { SearchEngine } from "../../src/search/engine.js";
import type { BenchContext, BenchGroup } from "../bench.js";
import { alternate } from "../peer/alternate.js";
import { Peer } from "../peer/process.js";
import { timed } from "../smollm2.js";
import { buildCase, indexOf } from "./bm25.js";
import { benchCorpus } from "./corpus.js";
import type { BenchCorpus } from "./corpus.js";
import { openLanceText } from "./lancedb-text.js";
import type { StoredPassage } from "../../src/types.js";

export const parts = ["peers"];

const topK = 10;
const inFlight = 64;
/** For sides that take up to a fifth of a second for a query. */
const queriesOfSlowSide = 20;

/** The interpreter that has bm25s and rank_bm25: `SLEUTH_SEARCH_PEER_PYTHON`, else what `setup.sh` makes. */
const python = process.env.SLEUTH_SEARCH_PEER_PYTHON ?? join(".cache", "search-peers", "bin", "python");

/**
 * Reports queries per second, one at a time: `peer.bm25.100k.ours`, `.bm25s`, `.bm25s.plain`, `.rank_bm25` and `.ratio` to the best of
 * them; `peer.bm25.ours`, `.bm25s`, `.bm25s.plain` and `.ratio` over a million passages; and `peer.bm25.lancedb`, the ratio to LanceDB
 * there, `.load` with 64 queries at once.
 */
export const bench: BenchGroup = async (context) => {
  const [small, large] = context.quick ? [2_000, 3_000] : [100_000, 1_000_000];
  if (existsSync(python)) {
    const peer = Peer.run(python, join(import.meta.dirname, "peers", "peer.py"), { NUMBA_NUM_THREADS: "1" });
    try {
      const versions = Object.entries(await peer.ask<Record<string, string>>("versions"));
      context.note(`against ${versions.map((library) => library.join(" ")).join(", ")}`);
      await besidePython(context, peer, small, "peer.bm25.100k", ["bm25s", "bm25s.plain", "rank_bm25"]);
      // rank_bm25 keeps a dictionary for each passage and asks all of them for each term: ten times slower still, and over 5 GB.
      await besidePython(context, peer, large, "peer.bm25", ["bm25s", "bm25s.plain"]);
    } finally {
      await peer.close();
    }
  } else {
    context.note(
      `bm25s and rank_bm25 are left out: there is no ${python}. Set it up with \`bash bench/search/peers/setup.sh\`, ` +
        "or name an interpreter that has bench/search/peers/requirements.txt in SLEUTH_SEARCH_PEER_PYTHON.",
    );
  }
  const absent = lanceIsAbsent();
  if (absent !== undefined) return context.note(`LanceDB is left out. ${absent}`);
  try {
    await besideLance(context, large);
  } catch (error) {
    context.note(`LanceDB is left out. ${(error as Error).message}`);
  }
};

/** `bm25s.plain`: without numba, as `pip install bm25s` gives it. */
type Library = "bm25s" | "bm25s.plain" | "rank_bm25";

/** Both sides hold the index and the texts in memory and score in one thread. */
async function besidePython(
  { report, note, quick }: BenchContext,
  peer: Peer,
  passages: number,
  name: string,
  libraries: readonly Library[],
): Promise<void> {
  const corpus = await benchCorpus(passages, note);
  const engine = await openInMemory(corpus, note);
  const rates: Partial<Record<Library, number>> = {};
  let ours = 0;
  try {
    for (const library of libraries) {
      note(`${library} reads ${passages} passages`);
      const index = library === "rank_bm25" ? {} : { index: join(corpus.folder, "bm25s") };
      await peer.ask("open", { side: library, corpus: corpus.path, ...index });
      const queries = library === "bm25s" && !quick ? corpus.queries : corpus.queries.slice(0, queriesOfSlowSide);
      const ask = (): Promise<{ seconds: number; found: string[][] }> =>
        peer.ask("search", { side: library, queries, k: topK });
      const seconds = await alternate(
        { ours: () => oneByOne(engine, queries), theirs: async () => (await ask()).seconds },
        { rounds: quick ? 1 : 5, warmUp: 1 },
      );
      rates[library] = queries.length / seconds.theirs;
      if (library === "bm25s") ours = queries.length / seconds.ours;
      note(`${library} finds ${await shareFound(engine, queries, (await ask()).found)} of our passages`);
    }
  } finally {
    await engine.close();
  }
  report({ name: `${name}.ours`, value: ours, unit: "queries/s" });
  for (const library of libraries)
    report({ name: `${name}.${library}`, value: rates[library] ?? 0, unit: "queries/s" });
  report({ name: `${name}.ratio`, value: ours / Math.max(...Object.values(rates)), unit: "ours / best" });
  if (quick) await rm(corpus.folder, { recursive: true, force: true });
}

/** Both sides read texts from the disk and use two threads. */
async function besideLance({ report, note, quick }: BenchContext, passages: number): Promise<void> {
  const corpus = await benchCorpus(passages, note);
  const theirs = await openLanceText(corpus, note);
  const { snapshot, passages: stored } = await openIndexOf(corpus, note);
  const engine = await Bm25Engine.fromSnapshot(snapshot, stored, { workers: 2 });
  const lance = async (query: string): Promise<unknown> => theirs.search(query, topK);
  const us = async (query: string): Promise<unknown> => engine.searchBatch([query], topK);
  const queries = corpus.queries.slice(0, quick ? 20 : 500);
  const rounds = { rounds: quick ? 1 : 5, warmUp: 1 };
  try {
    for (const [name, callers] of [
      ["peer.bm25.lancedb", 1],
      ["peer.bm25.lancedb.load", inFlight],
    ] as const) {
      const seconds = await alternate(
        { ours: () => underLoad(us, queries, callers), theirs: () => underLoad(lance, queries, callers) },
        rounds,
      );
      note(`${callers} at once: ours ${rate(seconds.ours)}, LanceDB ${rate(seconds.theirs)} queries/s`);
      report({ name, value: seconds.theirs / seconds.ours, unit: "ours / theirs" });
    }
  } finally {
    await engine.close();
    theirs.close();
  }
  if (quick) await rm(corpus.folder, { recursive: true, force: true });

  function rate(seconds: number): string {
    return (queries.length / seconds).toFixed(0);
  }
}

async function openInMemory(corpus: BenchCorpus, note: (text: string) => void): Promise<SearchEngine> {
  const { snapshot, passages: onDisk } = await openIndexOf(corpus, note);
  await onDisk.close();
  const passages: StoredPassage[] = [];
  for await (const batch of readCorpus([corpus.path])) passages.push(...batch);
  return Bm25Engine.fromSnapshot(snapshot, new PassagesInMemory(passages), { workers: 0 });
}

/** Reads the index of a corpus; builds it first where there is none that this version can read. */
async function openIndexOf(
  corpus: BenchCorpus,
  note: (text: string) => void,
): Promise<Awaited<ReturnType<typeof readIndex>>> {
  try {
    return await readIndex(indexOf(corpus));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    note(`indexing ${corpus.passages} passages`);
    await rm(indexOf(corpus), { recursive: true, force: true });
    await buildCase(corpus);
    return readIndex(indexOf(corpus));
  }
}

function oneByOne(engine: SearchEngine, queries: readonly string[]): Promise<number> {
  return underLoad((query) => engine.searchBatch([query], topK), queries, 1);
}

/** Seconds that callers take who ask one query after another. */
function underLoad(
  search: (query: string) => Promise<unknown>,
  queries: readonly string[],
  callers: number,
): Promise<number> {
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < queries.length) await search(queries[next++]);
  };
  return timed(() => Promise.all(Array.from({ length: callers }, caller)));
}

/** How many of the passages that we find the others find too: that both do the same work. */
async function shareFound(
  engine: SearchEngine,
  queries: readonly string[],
  found: readonly (readonly string[])[],
): Promise<string> {
  const ours = await engine.searchBatch(queries, topK);
  let [same, all] = [0, 0];
  for (const [index, list] of ours.entries()) {
    const texts = new Set(found[index].map((contents) => contents.split("\n")[1]));
    same += list.filter(({ text }) => texts.has(text)).length;
    all += list.length;
  }
  return `${((100 * same) / all).toFixed(1)} %`;
}
