/** @file `sleuth index`: JSONL files become a BM25 index. */
import { Option } from "commander";
import { buildIndex } from "../search/bm25/build.js";
import { defaultBm25 } from "../search/bm25/settings.js";
import { withInterrupt } from "./interrupt.js";
import { numberOption } from "./run-options.js";
import { bytes, count, duration } from "./terminal/format.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Verb } from "./verb.js";

interface Options {
  out: string;
  k1: number;
  b: number;
  stemmer: "porter" | "none";
  /** False with --no-stop-words: no word is dropped. */
  stopWords: boolean;
}

export const indexVerb: Verb = {
  name: "index",
  summary: "make a BM25 index of a corpus",
  description:
    'Makes a BM25 index of JSONL files (plain or .gz). A line is {"id","contents"} as in Search-R1, with the title in quotes on the first line of contents, or {"id","title","text"}. The index is ready or it is not there: an interrupted or failed build leaves the one that was in the folder before.',
  examples: [
    ["sleuth index passages.jsonl --out index", "one file"],
    [
      "sleuth index wiki-*.jsonl.gz --out wiki --k1 1.2 --b 0.75",
      "several files as one corpus, with Lucene's own constants",
    ],
  ],
  required: ["out"],
  configure: (command) =>
    command
      .argument("<corpus...>", "JSONL files")
      .option("--out <folder>", "where the index goes; an index that is there is replaced")
      .option("--k1 <number>", "BM25: saturation of term frequency", numberOption, defaultBm25.k1)
      .option("--b <number>", "BM25: strength of length normalisation, 0 to 1", numberOption, defaultBm25.b)
      .addOption(new Option("--stemmer <name>", "how words are stemmed").choices(["porter", "none"]).default("porter"))
      .option("--no-stop-words", "index every word, English stop words too"),
  async run(terminal, options, [corpus]) {
    const { out, k1, b, stemmer, stopWords } = options as unknown as Options;
    const analyzer = { stemmer, ...(stopWords ? {} : { stopWords: [] }) };
    const started = performance.now();
    let progress: ProgressBar | undefined;
    const summary = await withInterrupt(terminal, "Stopping; nothing is changed.", (signal) =>
      buildIndex({
        corpus: corpus as string[],
        out,
        settings: { k1, b, analyzer },
        signal,
        onProgress: (done, total) => {
          progress ??= new ProgressBar(terminal, { label: "Indexing", total, unit: "", format: bytes });
          progress.update(done);
        },
      }),
    );
    progress?.stop();
    const seconds = (performance.now() - started) / 1000;
    terminal.print(
      `${count(summary.passages)} passages, ${count(summary.terms)} terms, ${bytes(summary.bytes)} in ${duration(seconds * 1000)} → ${out}`,
    );
    terminal.print(terminal.colors.dim(`Try it: sleuth search "your words" --index ${out}`));
    return { ...summary, seconds };
  },
};
