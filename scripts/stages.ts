/** @file A long script as stages, each a command line of Sleuth that leaves a file or a folder: one that is done is not done again. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../src/errors.js";
import { SleuthCommand } from "./sleuth-command.js";

/** One command line, with what it makes. */
export interface Stage<Name extends string = string> {
  name: Name;
  /** What it makes, in the folder of the stages. */
  makes: string;
  words: string[];
  /** In place of `words` where its output has been begun. */
  resume?: string[];
}

/** What is kept of a stage. */
export interface StageRecord {
  /** Of the command line. */
  words: readonly string[];
  commit: string;
  /** How often it was started. */
  starts: number;
  /** Of all starts together. */
  seconds: number;
  /** The verb's JSON; null where it did not end. */
  answer: Record<string, unknown> | null;
}

interface Workshop {
  /** Where everything is made; the record of a stage is `NAME.json` in it. */
  folder: string;
  /** Of the code that runs. */
  commit: string;
  /** The command line, `bin/sleuth.js` of a checkout. */
  program: string;
  note: (text: string) => void;
}

/**
 * Does what is not done yet, one after the other.
 * @returns the record of every stage
 * @throws UserError as the verbs do; after Ctrl-C what is done stays
 */
export async function doStages<Name extends string>(
  stages: readonly Stage<Name>[],
  workshop: Workshop,
): Promise<Record<Name, StageRecord>> {
  mkdirSync(workshop.folder, { recursive: true });
  // Ctrl-C reaches the verb that runs, too: this process waits until that has made its work safe.
  const waits = (): void => undefined;
  process.on("SIGINT", waits);
  const records: Partial<Record<Name, StageRecord>> = {};
  try {
    for (const [index, stage] of stages.entries()) {
      const note = (text: string): void => workshop.note(`[${index + 1}/${stages.length}] ${stage.name}: ${text}`);
      records[stage.name] = await done(stage, { ...workshop, note });
    }
  } finally {
    process.off("SIGINT", waits);
  }
  return records as Record<Name, StageRecord>;
}

/** Does a script's work. What a user can mend is told in a sentence, and the exit status is 1. */
export async function orTell(note: (text: string) => void, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    note(error.message);
    process.exitCode = 1;
  }
}

/** The record of a stage, which is done first where it is not. */
async function done(stage: Stage, { folder, commit, program, note }: Workshop): Promise<StageRecord> {
  const file = join(folder, `${stage.name}.json`);
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as StageRecord) : undefined;
  const output = join(folder, stage.makes);
  if (known?.answer != null && existsSync(output)) {
    note("done before");
    return known;
  }
  const isBegun = stage.resume !== undefined && existsSync(output);
  const words = isBegun ? (stage.resume as string[]) : stage.words;
  note(`sleuth ${words.join(" ")}`);
  const started = performance.now();
  let answer: StageRecord["answer"] = null;
  try {
    answer = (await new SleuthCommand(program).run(words, { isShown: true })) as Record<string, unknown>;
    if (!existsSync(output)) throw new UserError(`sleuth ${words.join(" ")} has ended and made no ${output}.`);
    return recordOf();
  } finally {
    writeFileSync(file, `${JSON.stringify(recordOf(), null, 2)}\n`);
  }

  function recordOf(): StageRecord {
    const seconds = (known?.seconds ?? 0) + (performance.now() - started) / 1000;
    return { words: stage.words, commit, starts: (known?.starts ?? 0) + 1, seconds, answer };
  }
}
