/** @file `sleuth search`: what the search engine finds, with the words that it matched. */
import { openIndex } from "../search/bm25/open.js";
import { highlightMatches, printable, snippet } from "../search/highlight.js";
import { integer, numberOption } from "./run-options.js";
import { count, duration } from "./terminal/format.js";
import type { Verb } from "./verb.js";

/** Characters of a passage that are shown to people; --json has it whole. */
const longestText = 400;

interface Options {
  index: string;
  top: number;
  k1?: number;
  b?: number;
}

export const searchVerb: Verb = {
  name: "search",
  summary: "search an index",
  description: "Shows the best passages of an index for a query, with their scores and the matched words.",
  examples: [
    ['sleuth search "capital of Peru" --index index', "the five best passages"],
    ['sleuth search "capital of Peru" --index index --top 1 --json', "for a program"],
  ],
  required: ["index"],
  configure: (command) =>
    command
      .argument("<query...>", "what to search for")
      .option("--index <folder>", "an index made by sleuth index")
      .option("-k, --top <number>", "how many passages", integer(1), 5)
      .option("--k1 <number>", "another saturation of term frequency than the index's", numberOption)
      .option("--b <number>", "another strength of length normalisation than the index's", numberOption),
  async run(terminal, options, [words]) {
    const { index, top, k1, b } = options as unknown as Options;
    const query = (words as string[]).join(" ");
    const ranking = { ...(k1 === undefined ? {} : { k1 }), ...(b === undefined ? {} : { b }) };
    const engine = await openIndex(index, ranking);
    try {
      const started = performance.now();
      const [hits] = await engine.searchBatch([query], top);
      const ms = performance.now() - started;
      const { colors } = terminal;
      const paint = (text: string): string =>
        highlightMatches(text, query, engine.analyzer, { paint: (word) => colors.bold(colors.yellow(word)) });
      for (const [rank, { id, title, text, score }] of hits.entries()) {
        const place = colors.dim(`${score.toFixed(3)}  ${printable(id)}`);
        terminal.print(`${String(rank + 1).padStart(2)}. ${paint(title || "(no title)")}  ${place}`);
        terminal.print(`    ${paint(snippet(text.replaceAll("\n", " "), query, engine.analyzer, longestText))}`);
      }
      if (hits.length === 0) terminal.print(`No passage has any of the words of "${printable(query)}".`);
      terminal.note(
        terminal.progressColors.dim(`${count(engine.passages.count)} passages searched in ${duration(ms)}`),
      );
      return { query, hits, ms };
    } finally {
      await engine.close();
    }
  },
};
