/** @file `sleuth data mix`: several question sets as one. */
import { requireOwnFolder, writeDataFolder } from "../../data/sets/folder.js";
import { mergeParts, type Parts } from "../../data/sets/merge.js";
import { printable, shellWord } from "../../printable.js";
import { printNext } from "../run-result.js";
import { duration, plural } from "../terminal/format.js";
import type { Verb } from "../verb.js";
import { addSourceOptions, printParts, readSource, sizesOf, type SourceOptions } from "./sources.js";

interface Options extends SourceOptions {
  withoutTested?: boolean;
}

export const dataMixVerb: Verb = {
  name: "mix",
  summary: "join question sets into one folder",
  description:
    "Joins sets, part by part: what each has for training, for validation and for test. Sets are named as for sleuth data get, and SET=NUMBER takes so many questions of each of its splits. Every question keeps its identity (set, split and place in it), so that it is the same one in every mixture, and a table can be made by set. " +
    "A question that comes twice under one identity stands there once.",
  examples: [
    ["sleuth data mix nq hotpotqa --splits train,dev --out questions/search-r1", "what Search-R1 is trained on"],
    ["sleuth data mix nq=1000 hotpotqa=500 mine.jsonl --out questions/mixed --seed 1", "so many of each"],
    [
      "sleuth data mix questions/nq questions/mine --without-tested --out questions/both",
      "and train on nothing that is tested",
    ],
  ],
  required: ["out"],
  configure: (command) => {
    command.argument("<sets...>", "as for sleuth data get; SET=NUMBER: at most so many of each of its splits");
    addSourceOptions(command);
    command.option("--without-tested", "leave out training questions that a test or validation question repeats");
  },
  async run(terminal, given, [sets]) {
    const options = given as unknown as Options;
    await requireOwnFolder(options.out);
    const started = performance.now();
    const read: Parts[] = [];
    for (const named of sets as string[]) {
      const [, set, limit] = /^(.+)=(\d+)$/.exec(named) ?? [undefined, named, undefined];
      const own = limit === undefined ? options : { ...options, limit: Number(limit) };
      read.push((await readSource(terminal, set, own)).parts);
    }
    const { parts, repeated, dropped } = mergeParts(read, options);
    const { limit, seed, splits, withoutTested } = options;
    const changed = await writeDataFolder(options.out, parts, {
      verb: "mix",
      sets,
      splits,
      limit,
      seed,
      withoutTested,
    });
    const seconds = (performance.now() - started) / 1000;
    const total = Object.values(sizesOf(parts)).reduce((sum, number) => sum + number, 0);
    terminal.print(`${plural(total, "question")} → ${printable(options.out)}, ${duration(seconds * 1000)}`);
    printParts(terminal, parts);
    if (repeated > 0) terminal.print(`${plural(repeated, "question")} came twice, and stand there once.`);
    if (dropped > 0) terminal.print(`${plural(dropped, "training question")} were left out: they are tested.`);
    if (changed !== undefined) terminal.note(`The folder was there before: ${changed}.`);
    printNext(terminal, [
      [
        `npx sleuth data check ${shellWord(options.out)}`,
        "answers in the prompt, repeated questions, tests that are trained on",
      ],
    ]);
    return { out: options.out, questions: sizesOf(parts), repeated, dropped, changed, seconds };
  },
};
