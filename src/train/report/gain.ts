/** @file What training was worth: the same test questions before and after, question by question. */
import path from "node:path";
import type { EvaluationRecord } from "../../eval/evaluation.js";
import { readRecordsFile } from "../../eval/folder.js";
import { bootstrapMean, type Estimate } from "../../eval/intervals.js";

/** The attempts at one question, by the untrained policy and by the trained one. */
export interface AttemptPair {
  before: EvaluationRecord;
  after: EvaluationRecord;
}

interface Gain extends Estimate {
  /** Questions compared. */
  n: number;
}

/** A run's test attempts, paired by question; null where the run has not both evaluations on file. */
export async function attemptPairs(runFolder: string, mode: "greedy" | "sampled"): Promise<AttemptPair[] | null> {
  const [before, after] = await Promise.all(
    ["before", "after"].map((when) => readRecordsFile(path.join(runFolder, "evaluations", `${when}-${mode}.jsonl`))),
  );
  return before === null || after === null ? null : pairAttempts(before, after);
}

/** Attempts at the same questions of one source, in the order of the first. */
export function pairAttempts(before: readonly EvaluationRecord[], after: readonly EvaluationRecord[]): AttemptPair[] {
  const others = new Map(after.map((record) => [record.trajectory.questionId, record]));
  return before.flatMap((record) => {
    const other = others.get(record.trajectory.questionId);
    return other === undefined ? [] : [{ before: record, after: other }];
  });
}

/**
 * Mean difference of a score (exact match) with the paired bootstrap's 95 % interval: questions are drawn with replacement, each with both of its
 * attempts, so that what makes questions hard or easy cancels out.
 */
export function pairedGain(
  pairs: readonly AttemptPair[],
  scoreOf: (record: EvaluationRecord) => number = ({ exactMatch }) => exactMatch,
): Gain {
  const differences = pairs.map(({ before, after }) => scoreOf(after) - scoreOf(before));
  return { ...bootstrapMean(differences, { samples: 10_000 }), n: pairs.length };
}
