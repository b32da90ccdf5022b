/**
 * @file The corpus that search is measured on: invented passages of 100 words, and questions about them. Word frequencies follow Zipf's
 * law (the r-th most frequent word has a probability near 1/r), as those of natural text do; the most frequent ones are English stop words
 * and, further down, the words that questions begin with. Everything is seeded. Corpora and their indexes stay in `.cache/bench`.
 */
import { existsSync } from "node:fs";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Random } from "../../src/random.js";
import { luceneStopWords } from "../../src/search/text/analyzer.js";

/** Files of another version are made anew. */
const version = 1;
const seed = 20260101;
const wordsPerPassage = 100;
const vocabularySize = 200_000;
const queryCount = 1_000;
const passagesPerWrite = 1_000;

/** Before half of the queries. */
const beginnings = ["who was the", "what is the", "when was the", "where is the"];
/** Places of their words among the most frequent ones, about as in English. */
const questionWords: Readonly<Record<number, string>> = { 55: "when", 60: "who", 80: "what", 100: "where" };

export interface BenchCorpus {
  passages: number;
  /** JSONL of `{"id", "contents"}`. */
  path: string;
  /** Three to eight words of one passage each. */
  queries: string[];
  /** Where parts keep what they have made of this corpus; removed with it. */
  folder: string;
}

/** The corpus of this many passages: what lies in `.cache/bench`, else made now. */
export async function benchCorpus(passages: number, note: (text: string) => void): Promise<BenchCorpus> {
  const folder = join(".cache", "bench", `search-${passages}`);
  const path = join(folder, "corpus.jsonl");
  const description = join(folder, "corpus.json");
  const made = { version, seed, passages, wordsPerPassage, vocabularySize, queryCount };
  if (existsSync(description)) {
    const { queries, ...found } = JSON.parse(await readFile(description, "utf8")) as { queries: string[] };
    if (JSON.stringify(found) === JSON.stringify(made)) return { passages, path, queries, folder };
  }
  note(`making ${passages} passages in ${folder}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const queries = await writeCorpus(path, passages);
  // Written last: without it the corpus is not whole.
  await writeFile(description, JSON.stringify({ ...made, queries }));
  return { passages, path, queries, folder };
}

async function writeCorpus(path: string, passages: number): Promise<string[]> {
  const random = new Random(seed);
  const vocabulary = Array.from({ length: vocabularySize }, (_, rank) => wordOf(rank));
  const queries: string[] = [];
  const file = await open(path, "w");
  try {
    const lines: string[] = [];
    for (let id = 0; id < passages; id++) {
      const words = Array.from(
        { length: wordsPerPassage },
        () => vocabulary[Math.floor(vocabularySize ** random.next()) - 1],
      );
      const contents = `"${words[0]} ${words[1]}"\n${words.slice(2).join(" ")}.`;
      lines.push(`${JSON.stringify({ id: String(id), contents })}\n`);
      if (id % (passages / queryCount) === 0) queries.push(queryAbout(words, random));
      if (lines.length === passagesPerWrite) await file.write(lines.splice(0).join(""));
    }
    await file.write(lines.join(""));
  } finally {
    await file.close();
  }
  return queries;
}

function queryAbout(words: readonly string[], random: Random): string {
  const asked = random
    .shuffle(words)
    .slice(0, 3 + random.integer(6))
    .join(" ");
  return random.integer(2) === 0 ? asked : `${random.choice(beginnings)} ${asked}`;
}

/** The word of a rank: stop words, then invented ones of two to five syllables, frequent words shorter. */
export function wordOf(rank: number): string {
  if (rank < luceneStopWords.length) return luceneStopWords[rank];
  if (questionWords[rank] !== undefined) return questionWords[rank];
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
