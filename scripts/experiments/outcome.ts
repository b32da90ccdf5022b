/** @file What is kept of a finished run, and the numbers that tables compare. */
import { existsSync, readFileSync } from "node:fs";
import { writeFileDurably } from "../../src/files/durable.js";
import { readMetrics } from "../../src/train/metrics-file.js";
import { readResult, type TestReports } from "../../src/train/result.js";
import { readStarts } from "../../src/train/run-folder.js";
import { UserError } from "../../src/errors.js";
import type { EvaluationSummary } from "../../src/eval/evaluation.js";

/** One policy on the test questions, greedy and sampled at temperature 1. */
export interface Scores {
  /** Test questions. */
  n: number;
  greedy: number;
  sampled: number;
  greedySearches: number;
  sampledSearches: number;
  /** Exact match at temperature 1 of questions of 1, 2, 3 hops. */
  sampledByHops: number[];
}

/** An evaluation on validation questions in the course of training. */
export interface CurvePoint {
  step: number;
  greedy: number;
  sampled: number;
}

export interface Outcome {
  variant: string;
  seed: number;
  /** Words after `sleuth`, without the run folder. */
  command: string[];
  /** Of Sleuth's repository, one per start. */
  commits: string[];
  before: Scores;
  /** Of the checkpoint that validation chose. */
  after: Scores;
  /** Of the training steps alone. */
  seconds: number;
  /** Of the whole process, or of its last start. */
  wallSeconds: number;
  bestStep: number;
  curve: CurvePoint[];
}

/** What tables and findings compare; each is one number per run. */
export const measures = {
  sampled: { title: "test EM at T = 1", of: ({ after }: Outcome) => after.sampled },
  greedy: { title: "greedy test EM", of: ({ after }: Outcome) => after.greedy },
  area: { title: "validation EM at T = 1, mean over the course of training", of: ({ curve }: Outcome) => area(curve) },
  searches: { title: "searches per test question at T = 1", of: ({ after }: Outcome) => after.sampledSearches },
  searchesGained: {
    title: "searches per test question at T = 1, after training less before",
    of: ({ after, before }: Outcome) => after.sampledSearches - before.sampledSearches,
  },
  drop: {
    title: "validation EM at T = 1 lost between its best and the last step",
    of: ({ curve }: Outcome) => bestOf(curve) - lastOf(curve),
  },
} as const satisfies Record<string, { title: string; of: (outcome: Outcome) => number }>;

export type Measure = keyof typeof measures;

/** Mean height of the curve at temperature 1, evaluations joined by straight lines. */
export function area(curve: readonly CurvePoint[]): number {
  const pieces = curve
    .slice(1)
    .map(({ step, sampled }, index) => (step - curve[index].step) * ((sampled + curve[index].sampled) / 2));
  const steps = curve[curve.length - 1].step - curve[0].step;
  return steps === 0 ? curve[0].sampled : pieces.reduce((sum, piece) => sum + piece, 0) / steps;
}

/**
 * Whether training ended far below what it had reached: less than half of the best validation EM at temperature 1. Two points
 * of EM, which nearly nothing is reached by, are not a height to fall from.
 */
export function hasCollapsed({ curve }: Outcome): boolean {
  const best = bestOf(curve);
  return best > 0.1 && lastOf(curve) < best / 2;
}

function bestOf(curve: readonly CurvePoint[]): number {
  return Math.max(...curve.map(({ sampled }) => sampled));
}

function lastOf(curve: readonly CurvePoint[]): number {
  return curve[curve.length - 1].sampled;
}

/**
 * Reads a finished run.
 * @throws UserError when the run has not finished or was not tested
 */
export async function readOutcome(
  folder: string,
  of: Pick<Outcome, "variant" | "seed" | "command" | "wallSeconds">,
): Promise<Outcome> {
  const result = await readResult(folder);
  if (result === null || result.status !== "finished" || result.before === null || result.after === null)
    throw new UserError(`The run in ${folder} has not finished, or was not tested. Delete the folder to run it anew.`);
  const { starts } = await readStarts(folder);
  const lines = await readMetrics(folder);
  return {
    ...of,
    commits: [...new Set(starts.map(({ commit }) => commit ?? "unknown"))],
    before: scoresOf(result.before),
    after: scoresOf(result.after),
    seconds: result.seconds,
    bestStep: result.best?.step ?? result.steps,
    curve: lines.flatMap((line) => {
      const { step, "em/squad/validation": greedy = line["em/validation"] } = line;
      const { "em/squad/validation/sampled": sampled = line["em/validation/sampled"] } = line;
      return greedy == null || sampled == null ? [] : [{ step, greedy, sampled }];
    }),
  };
}

function scoresOf({ greedy, sampled }: TestReports): Scores {
  if (sampled === undefined) throw new UserError("The run was tested greedily alone. Set train.evalModes=both.");
  return {
    n: greedy.n,
    greedy: exactMatchOf(greedy),
    sampled: exactMatchOf(sampled),
    greedySearches: greedy.searchesPerQuestion.value,
    sampledSearches: sampled.searchesPerQuestion.value,
    sampledByHops: sampled.perHop.map(({ summary }) => exactMatchOf(summary)),
  };
}

/** By SQuAD's scorer, since the tables stand beside published numbers; runs of earlier versions know no other. */
function exactMatchOf({ squadMatch, exactMatch }: Pick<EvaluationSummary, "squadMatch" | "exactMatch">): number {
  return (squadMatch ?? exactMatch).value;
}

/** The outcome on file; undefined for a cell that has not been run. */
export function loadOutcome(file: string): Outcome | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Outcome) : undefined;
}

export async function saveOutcome(file: string, outcome: Outcome): Promise<void> {
  await writeFileDurably(file, `${JSON.stringify(outcome)}\n`);
}

/** Validation EM at temperature 1 by step, one value per run. */
export function curvesOf(outcomes: readonly Outcome[]): Map<number, number[]> {
  const steps = new Map<number, number[]>();
  for (const { curve } of outcomes)
    for (const { step, sampled } of curve) steps.set(step, [...(steps.get(step) ?? []), sampled]);
  return steps;
}
