/** @file What `sleuth data get` and `sleuth data mix` share: their options, and reading the sets that a person names. */
import { InvalidArgumentError, type Command } from "commander";
import { defects } from "../../data/question-record.js";
import type { QuestionPart } from "../../data/questions.js";
import type { Origin } from "../../data/sets/folder.js";
import type { Parts } from "../../data/sets/merge.js";
import { openSet, type OpenSet } from "../../data/sets/open-set.js";
import { readSet, subsetOf, type ReadSplit } from "../../data/sets/read-set.js";
import { printable } from "../../printable.js";
import { withDownloads } from "../fetch-model.js";
import { withInterrupt } from "../interrupt.js";
import { integer } from "../run-options.js";
import { count, plural, table } from "../terminal/format.js";
import type { Terminal } from "../terminal/terminal.js";

export interface SourceOptions {
  out: string;
  from?: string;
  splits?: string[];
  limit?: number;
  seed: number;
  skipMalformed?: boolean;
}

export function addSourceOptions(command: Command): void {
  command
    .option(
      "--out <folder>",
      "write train.jsonl, validation.jsonl and test.jsonl here, and data.json, which says where they came from",
    )
    .option("--from <folder>", "take sets of the list from here, as nq/test.jsonl, and not from the Hub")
    .option("--splits <names>", "of each set only these, as train,test (default: all)", splitNames)
    .option("--limit <number>", "of each split at most so many questions, drawn by --seed", integer(1))
    .option("--seed <number>", "of what --limit draws; a smaller limit gives a part of a larger one's", integer(0), 0)
    .option("--skip-malformed", "leave malformed records of your own files out, too, and count them");
}

function splitNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim().toLowerCase());
  const known = ["train", "validation", "dev", "val", "test"];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  throw new InvalidArgumentError(`"${unknown}" is no split; splits are ${known.join(", ")}.`);
}

/** A set, read. */
export interface ReadSource {
  set: OpenSet;
  splits: Partial<Record<QuestionPart, ReadSplit>>;
  parts: Parts;
}

/** Downloads what is missing of a set, reads it, and says what was left out. */
export async function readSource(terminal: Terminal, given: string, options: SourceOptions): Promise<ReadSource> {
  const { from, splits: only, limit, seed } = options;
  const set = await withDownloads(terminal, (pull) => openSet(given, { ...pull, only, root: from }));
  const skips = set.isOfHub || set.known !== undefined || options.skipMalformed === true;
  const splits = await withInterrupt(terminal, "Stopping; nothing is written.", async (signal) => {
    const words = `Reading ${printable(set.dataset)}`;
    const onRead = (): void => terminal.progress(() => ({ lines: [`${words} …`], plain: words }));
    return readSet(set, { skips, signal, onRead });
  });
  terminal.endProgress();
  const parts: Parts = {};
  for (const [part, split] of Object.entries(splits) as [QuestionPart, ReadSplit][]) {
    const questions = subsetOf(split.questions, limit, seed);
    parts[part] = { questions, origins: [originOf(set, split, questions.length)] };
    tellSkipped(terminal, split);
    tellChanged(terminal, set, split);
  }
  return { set, splits, parts };
}

function originOf({ from, dataset }: OpenSet, { name, rows, skipped }: ReadSplit, questions: number): Origin {
  return { from, dataset, split: name, rows, skipped: skipped.total, questions };
}

function tellSkipped(terminal: Terminal, { name, skipped, rows, files }: ReadSplit): void {
  if (skipped.total === 0) return;
  const reasons = [...skipped.counts].map(([defect, number]) => `${count(number)} ${defects[defect]}`);
  terminal.note(
    `${count(skipped.total)} of ${plural(rows, "record")} of ${name || files[0]} were left out: ${reasons.join("; ")}.`,
  );
  for (const example of skipped.examples) terminal.note(`  ${printable(example)}`);
}

/** Numbers of a set that has changed do not compare with those of the papers. */
function tellChanged(terminal: Terminal, { known, from }: OpenSet, { name, rows }: ReadSplit): void {
  const expected = known?.splits[name as "train" | "dev" | "test"];
  if (known === undefined || expected === undefined || expected === rows) return;
  terminal.note(
    `${known.name} ${name} has ${plural(rows, "record")} at ${printable(from)}, and had ${count(expected)} when papers measured on it: the set has changed, and numbers on it may not compare.`,
  );
}

/** A row for each part and where it came from. */
export function printParts(terminal: Terminal, parts: Parts): void {
  const rows = (Object.entries(parts) as [QuestionPart, NonNullable<Parts[QuestionPart]>][]).flatMap(
    ([part, { origins }]) =>
      origins.map(({ dataset, split, questions, rows: all }) => [
        `  ${part}.jsonl`,
        printable(dataset),
        split === "" ? "–" : split,
        count(questions),
        questions === all ? "" : `of ${count(all)}`,
      ]),
  );
  for (const line of table([["  File", "set", "split", "questions", ""], ...rows])) terminal.print(line);
}

/** Numbers of questions by part. */
export function sizesOf(parts: Parts): Record<string, number> {
  return Object.fromEntries(Object.entries(parts).map(([part, { questions }]) => [part, questions.length]));
}
