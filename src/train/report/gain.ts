/** @file What training was worth: the same test questions before and after, question by question. */
import path from "node:path";
import { readOptionalText } from "../../files/json-file.js";
import { bootstrapMean, type Estimate } from "../../eval/intervals.js";
import { squad } from "../../rewards/answers.js";
import { traceFromLine, type TraceRecord } from "../../rollout/trace.js";

/** The attempts at one question, by the untrained policy and by the trained one. */
export interface AttemptPair {
  before: TraceRecord;
  after: TraceRecord;
}

interface Gain extends Estimate {
  /** Questions compared. */
  n: number;
}

/** 1 for a right answer, else 0, as the evaluation had it. Earlier versions did not record it and compared as SQuAD does; a trace without its question scores 0. */
export function exactMatchOf({ question, trajectory, exactMatch }: TraceRecord): number {
  return exactMatch ?? (question === undefined ? 0 : squad.exactMatch(question, trajectory));
}

/** A run's test attempts, paired by question; null where the run has not both evaluations on file. */
export async function attemptPairs(runFolder: string, mode: "greedy" | "sampled"): Promise<AttemptPair[] | null> {
  const [before, after] = await Promise.all(
    ["before", "after"].map((when) => readAttempts(path.join(runFolder, "evaluations", `${when}-${mode}.jsonl`))),
  );
  return before === null || after === null ? null : pairAttempts(before, after);
}

/** Attempts at the same questions, in the order of the first. */
export function pairAttempts(
  before: ReadonlyMap<string, TraceRecord>,
  after: ReadonlyMap<string, TraceRecord>,
): AttemptPair[] {
  return [...before].flatMap(([id, record]) => {
    const other = after.get(id);
    return other === undefined ? [] : [{ before: record, after: other }];
  });
}

/** The attempts of an evaluation, by question; null where there is no such file. */
export async function readAttempts(file: string): Promise<Map<string, TraceRecord> | null> {
  const text = await readOptionalText(file);
  if (text === undefined) return null;
  const lines = text.split("\n").filter((line) => line !== "");
  const records = lines.map((line, index) => traceFromLine(line, `${file}:${index + 1}`));
  return new Map(records.map((record) => [record.trajectory.questionId, record]));
}

/**
 * Mean difference of a score with the paired bootstrap's 95 % interval: questions are drawn with replacement, each with both of its
 * attempts, so that what makes questions hard or easy cancels out.
 */
export function pairedGain(pairs: readonly AttemptPair[], scoreOf: (record: TraceRecord) => number): Gain {
  const differences = pairs.map(({ before, after }) => scoreOf(after) - scoreOf(before));
  return { ...bootstrapMean(differences, { samples: 10_000 }), n: pairs.length };
}
