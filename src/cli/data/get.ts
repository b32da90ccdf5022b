/** @file `sleuth data get`: a question set, as files that every verb reads. */
import { requireOwnFolder, writeDataFolder } from "../../data/sets/folder.js";
import { printable, shellWord } from "../../printable.js";
import { printNext } from "../run-result.js";
import { duration, plural } from "../terminal/format.js";
import type { Verb } from "../verb.js";
import { addSourceOptions, printParts, readSource, sizesOf, type SourceOptions } from "./sources.js";

export const dataGetVerb: Verb = {
  name: "get",
  summary: "fetch or convert a question set",
  description:
    "Makes a folder of questions that every verb reads with --questions: of a set of the list (sleuth data list), of any dataset of the Hugging Face Hub, or of files of yours, in our layout, in FlashRAG's (JSONL) or in Search-R1's (Parquet). " +
    "Each question gets the identity that it has everywhere: set, split and place in it, as nq-test-17. Where a set has no test split, dev is it, as in the papers; without a split for validation, train sets some aside by itself. " +
    "What the Hub sends is checked and cached as models are (sleuth pull). Malformed records of large sets are left out and counted; those of your own files are named.",
  examples: [
    ["sleuth data get nq --out questions/nq", "Natural Questions, from the Hub"],
    ["sleuth data get hotpotqa --splits dev --limit 500 --out questions/hotpot-500", "500 questions of a split"],
    ["sleuth data get nq --from FlashRAG_Data --out questions/nq", "of files that you have already"],
    ["sleuth data get hf:PeterJinGo/nq_hotpotqa_train --out questions/search-r1", "Search-R1's own Parquet files"],
    ["sleuth data get my-questions.parquet --out questions/mine", "of one file"],
    ["sleuth eval --run runs/mine --questions questions/nq --index index", "what it is for"],
  ],
  required: ["out"],
  configure: (command) => {
    command.argument("<set>", "a set of the list, hf:ORG/NAME[/FOLDER][@REVISION], a folder or a file");
    addSourceOptions(command);
  },
  async run(terminal, given, [set]) {
    const options = given as unknown as SourceOptions;
    await requireOwnFolder(options.out);
    const started = performance.now();
    const { set: opened, parts } = await readSource(terminal, set as string, options);
    const { limit, seed, splits } = options;
    const changed = await writeDataFolder(options.out, parts, { verb: "get", set, splits, limit, seed });
    const seconds = (performance.now() - started) / 1000;
    const total = Object.values(sizesOf(parts)).reduce((sum, number) => sum + number, 0);
    terminal.print(
      `${plural(total, "question")} of ${printable(opened.from)} → ${printable(options.out)}, ${duration(seconds * 1000)}`,
    );
    printParts(terminal, parts);
    if (opened.known !== undefined)
      terminal.print(`Terms: ${opened.known.terms}. ${terminal.colors.dim(opened.known.source)}`);
    if (changed !== undefined)
      terminal.note(`The folder was there before: ${changed}. Numbers on it do not compare with earlier ones.`);
    printNext(terminal, [
      [
        `npx sleuth data check ${shellWord(options.out)}`,
        "answers in the prompt, repeated questions, tests that are trained on",
      ],
      [`npx sleuth search --questions ${shellWord(options.out)} --index index`, "what an index finds of the answers"],
    ]);
    return {
      out: options.out,
      from: opened.from,
      questions: sizesOf(parts),
      origins: Object.values(parts).flatMap(({ origins }) => origins),
      changed,
      seconds,
    };
  },
};
