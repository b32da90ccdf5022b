/**
 * @file BM25 over 100,000 invented passages of 100 words: building the index from JSONL, opening it, and searching it, one
 * query at a time and in batches. Everything is seeded; files go to a temporary folder and are removed.
 */
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { Random } from "../src/random.js";
import { buildIndex } from "../src/search/bm25/build.js";
import { openIndex } from "../src/search/bm25/open.js";
import type { SearchEngine } from "../src/search/engine.js";
import type { BenchGroup, BenchLine } from "./bench.js";

const passages = 100_000;
const wordsPerPassage = 100;
const vocabularySize = 200_000;
const queryCount = 1_000;
const batchSize = 64;
const topK = 10;
const seed = 20260101;

/** Measures and reports `bm25.100k.build`, `.open`, `.p50`, `.p99`, `.qps` and `.stall`. */
export async function searchBench(emit: (line: BenchLine) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "sleuth-bench-"));
  try {
    const corpus = join(folder, "corpus.jsonl");
    const queries = await writeCorpus(corpus);
    const out = join(folder, "index");

    const building = performance.now();
    await buildIndex({ corpus: [corpus], out });
    emit({ name: "bm25.100k.build", value: (performance.now() - building) / 1000, unit: "s" });

    const opening = performance.now();
    const engine = await openIndex(out);
    await engine.searchBatch(queries.slice(0, 1), topK);
    emit({ name: "bm25.100k.open", value: performance.now() - opening, unit: "ms" });

    await measureQueries(engine, queries, emit);
    await engine.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const bench: BenchGroup = ({ report }) => searchBench(report);

async function measureQueries(engine: SearchEngine, queries: string[], emit: (line: BenchLine) => void): Promise<void> {
  await engine.searchBatch(queries.slice(0, 200), topK);
  const times: number[] = [];
  for (const query of queries) {
    const started = performance.now();
    await engine.searchBatch([query], topK);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  emit({ name: "bm25.100k.p50", value: times[times.length >> 1], unit: "ms" });
  emit({ name: "bm25.100k.p99", value: times[Math.floor(times.length * 0.99)], unit: "ms" });

  const stall = watchThread();
  const started = performance.now();
  for (let first = 0; first < queries.length; first += batchSize)
    await engine.searchBatch(queries.slice(first, first + batchSize), topK);
  emit({ name: "bm25.100k.qps", value: queries.length / ((performance.now() - started) / 1000), unit: "queries/s" });
  emit({ name: "bm25.100k.stall", value: stall(), unit: "ms" });
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

/**
 * Writes passages whose words follow Zipf's law (the r-th most frequent word with a probability near 1/r) and returns
 * queries: 3 to 8 words of one passage each.
 */
async function writeCorpus(path: string): Promise<string[]> {
  const random = new Random(seed);
  const word = (): string => wordOf(Math.floor(vocabularySize ** random.next()) - 1);
  const queries: string[] = [];
  const file = createWriteStream(path);
  for (let id = 0; id < passages; id++) {
    const words = Array.from({ length: wordsPerPassage }, word);
    const line = JSON.stringify({
      id: String(id),
      contents: `"${words[0]} ${words[1]}"\n${words.slice(2).join(" ")}.`,
    });
    if (!file.write(`${line}\n`)) await once(file, "drain");
    if (id % (passages / queryCount) === 0)
      queries.push(
        random
          .shuffle(words)
          .slice(0, 3 + random.integer(6))
          .join(" "),
      );
  }
  file.end();
  await once(file, "close");
  return queries;
}

/** The word of a rank: two to five syllables, frequent words shorter. */
function wordOf(rank: number): string {
  const consonants = "bdfgklmnprstvz";
  const vowels = "aeiou";
  let rest = rank + consonants.length * vowels.length;
  let word = "";
  while (rest > 0) {
    word += consonants[rest % consonants.length];
    rest = Math.floor(rest / consonants.length);
    word += vowels[rest % vowels.length];
    rest = Math.floor(rest / vowels.length);
  }
  return word;
}
