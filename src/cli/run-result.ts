/** @file What a finished run tells: the table of before and after, and where everything is. */
import { existsSync } from "node:fs";
import path from "node:path";
import { evaluationTable, formatDifference } from "../eval/table.js";
import { attemptPairs, pairedGain } from "../train/report/gain.js";
import { isUntrained, type TrainResult } from "../train/result.js";
import { interruptedStatus } from "./interrupt.js";
import { duration, plural } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";
import type { VerbAnswer } from "./verb.js";

/** Tables of before and after with 95 % intervals, one per way of sampling: side by side they would not fit 80 columns. */
export function printReports(terminal: Terminal, { before, after }: Pick<TrainResult, "before" | "after">): void {
  const reports = { before, after };
  for (const [mode, title] of [
    ["greedy", "Greedy"],
    ["sampled", "Sampled at temperature 1"],
  ] as const) {
    const columns = Object.entries(reports).flatMap(([name, report]) => {
      const found = report?.[mode];
      return found === undefined ? [] : [{ name, report: found }];
    });
    if (columns.length === 0) continue;
    terminal.print(
      `${terminal.colors.bold(title)}${terminal.colors.dim(": test questions answered exactly right, with 95 % intervals")}`,
    );
    terminal.print(evaluationTable(columns));
  }
}

/** What training was worth, question by question; nothing where the run was not tested twice. */
export async function printGain(terminal: Terminal, runFolder: string): Promise<void> {
  for (const mode of ["greedy", "sampled"] as const) {
    const pairs = await attemptPairs(runFolder, mode);
    if (pairs === null || pairs.length === 0) continue;
    const gain = pairedGain(pairs);
    const name = mode === "greedy" ? "greedy" : "at temperature 1";
    terminal.print(
      `${terminal.colors.bold("Gain")} ${name}  ${formatDifference(gain)} of ${plural(gain.n, "question")}, each compared with itself${gain.low <= 0 && gain.high >= 0 ? ": the interval holds 0, so no change is shown" : ""}`,
    );
  }
}

/** How a run ended, and what lies in its folder. `planned`: the steps that it would have taken without an end before. */
export function printRun(terminal: Terminal, result: TrainResult, planned: number): void {
  const { bold } = terminal.colors;
  const { best } = result;
  const isByClock = result.status === "out-of-time";
  const kept =
    best === null
      ? ""
      : isUntrained(result)
        ? ", no checkpoint better than the model before it"
        : `, best checkpoint of step ${best.step}`;
  terminal.print(
    `${bold("Run")}  ${plural(result.steps, "step")}${isByClock ? ` of ${planned}, then its time was over (train.stopAfterSeconds)` : ""}, ${duration(result.seconds * 1000)} of training${kept}`,
  );
  printWatch(terminal, result);
  printFiles(terminal, result.folder, [
    ["curve.html", "the learning curve (curve.svg: the picture alone)"],
    ["best", bestMeaning(result, "the best model; sleuth export writes it for other tools")],
    ["checkpoints", "where the run goes on"],
    ["evaluations", "every test question with its searches, before and after"],
    ["metrics.jsonl", "every number of every step"],
  ]);
}

/** What the folder `best` holds. */
export function bestMeaning(result: Pick<TrainResult, "best">, trained: string): string {
  return isUntrained(result) ? "the model as it was before training: no checkpoint was better" : trained;
}

/** What the collapse watch did, where it did anything. */
function printWatch(terminal: Terminal, { watch }: TrainResult): void {
  if (watch === undefined) return;
  const { rollbacks, learningRateScale, stopped } = watch;
  const times = rollbacks.length === 1 ? "once" : `${rollbacks.length} times`;
  const did = `rolled back ${times}; learning rates ended at ${learningRateScale} of their course`;
  terminal.print(terminal.colors.yellow(stopped ?? `The collapse watch ${did}. docs/collapse.md says what to change.`));
}

/** 1 for a run that the collapse watch ended: scripts should not take it for a success. */
export function exitStatusOf({ status }: Pick<TrainResult, "status">): number {
  return status === "stopped" ? 1 : 0;
}

/** Those of the files that are there, with what they hold. */
export function printFiles(terminal: Terminal, folder: string, files: readonly (readonly [string, string])[]): void {
  const { cyan } = terminal.colors;
  for (const [name, meaning] of files) {
    const file = path.join(folder, name);
    if (existsSync(file)) terminal.print(`  ${cyan(file)}  ${meaning}`);
  }
}

/** Command lines to go on with. */
export function printNext(
  terminal: Terminal,
  lines: readonly (readonly [commandLine: string, meaning: string])[],
): void {
  terminal.print(terminal.colors.bold("Next"));
  for (const [line, meaning] of lines)
    terminal.print(`  ${terminal.colors.cyan(line)}  ${terminal.colors.dim(meaning)}`);
}

/** Says how to continue an interrupted run, and ends with the status of an interrupted process. */
export function interruptedAnswer(terminal: Terminal, result: TrainResult, resume: string): VerbAnswer {
  terminal.print(`Stopped after step ${result.steps}; everything up to there is saved. Go on with:`);
  terminal.print(`  ${terminal.colors.cyan(resume)}`);
  return { status: result.status, steps: result.steps, runDir: result.folder, resume, exitStatus: interruptedStatus };
}
