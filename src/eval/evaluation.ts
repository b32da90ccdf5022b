/** @file What an evaluation found: one record per question, and the numbers computed from them with their intervals. */
import type { FinishReason, Question, Trajectory } from "../types.js";
import { z } from "zod";
import { bootstrapMean, mean, wilson, type Estimate } from "./intervals.js";

/** One question's attempt, as it stands in the per-question JSONL. */
export interface EvaluationRecord {
  question: Question;
  trajectory: Trajectory;
  /** 1 when the answer equals a gold answer after normalisation, else 0. */
  exactMatch: number;
  /** The same after SQuAD's normalisation, for numbers beside published ones. */
  squadMatch: number;
  /** Weighted sum of the rewards in use. */
  reward: number;
}

/** The numbers of a set of records. */
export interface EvaluationSummary {
  /** Questions. */
  n: number;
  exactMatch: Estimate;
  /** Absent in reports of earlier versions, whose `exactMatch` is SQuAD's. */
  squadMatch?: Estimate;
  reward: Estimate;
  /** Share of questions that ended with an answer. */
  answered: Estimate;
  /** Executed searches. */
  searchesPerQuestion: Estimate;
  /** Executed searches divided by the searches an ideal searcher needs; null where that is not known. */
  searchesToNeeded: number | null;
  /** Share of executed searches that failed. */
  failedSearches: number;
  finish: Record<FinishReason, number>;
}

export interface Evaluation extends EvaluationSummary {
  /** 0 is greedy. */
  temperature: number;
  seconds: number;
  /** By the searches a question needs, where that is known. */
  perHop: { hops: number; summary: EvaluationSummary }[];
  /** In the order of the questions. */
  records: EvaluationRecord[];
}

const noFinish: Record<FinishReason, number> = {
  answered: 0,
  "out-of-turns": 0,
  "out-of-tokens": 0,
  malformed: 0,
  "search-failed": 0,
  cancelled: 0,
};

/** Shares of the reasons why trajectories ended. */
export function finishShares(trajectories: readonly Trajectory[]): Record<FinishReason, number> {
  const shares = { ...noFinish };
  for (const { finishReason } of trajectories) shares[finishReason] += 1 / trajectories.length;
  return shares;
}

/** Computes the numbers of one set of records. */
export function summarize(records: readonly EvaluationRecord[]): EvaluationSummary {
  const n = records.length;
  const trajectories = records.map((record) => record.trajectory);
  const searches = trajectories.map((trajectory) => trajectory.searches.length);
  const needed = records.map((record) => record.question.hops);
  const failed = trajectories
    .flatMap((trajectory) => trajectory.searches)
    .filter((search) => search.error !== undefined);
  const total = searches.reduce((sum, value) => sum + value, 0);
  return {
    n,
    exactMatch: wilson(records.filter((record) => record.exactMatch === 1).length, n),
    squadMatch: wilson(records.filter((record) => record.squadMatch === 1).length, n),
    reward: bootstrapMean(records.map((record) => record.reward)),
    answered: wilson(trajectories.filter((trajectory) => trajectory.finishReason === "answered").length, n),
    searchesPerQuestion: bootstrapMean(searches),
    searchesToNeeded: needed.every((hops) => hops !== undefined) && n > 0 ? mean(searches) / mean(needed) : null,
    failedSearches: total === 0 ? 0 : failed.length / total,
    finish: finishShares(trajectories),
  };
}

/** The numbers over all records and per hop. */
export function toEvaluation(records: EvaluationRecord[], run: { temperature: number; seconds: number }): Evaluation {
  const hops = [...new Set(records.flatMap(({ question }) => question.hops ?? []))].sort((a, b) => a - b);
  const perHop = hops.map((value) => ({
    hops: value,
    summary: summarize(records.filter(({ question }) => question.hops === value)),
  }));
  return { ...summarize(records), ...run, perHop, records };
}

/** An evaluation without its records, small enough for result.json and events. */
export type EvaluationReport = Omit<Evaluation, "records">;

// JSON has null for what is no number, such as the mean of nothing.
const number = z.number().nullable();
const estimate = z.object({ value: number, low: number, high: number });
const summary = {
  n: z.int().nonnegative(),
  exactMatch: estimate,
  // Reports of older versions have none.
  squadMatch: estimate.optional(),
  reward: estimate,
  answered: estimate,
  searchesPerQuestion: estimate,
  searchesToNeeded: number,
  failedSearches: number,
  finish: z.record(z.string(), number),
};
/** A report as it stands in a file. */
export const reportSchema = z.looseObject({
  ...summary,
  temperature: z.number(),
  seconds: number,
  perHop: z.array(z.looseObject({ hops: z.number(), summary: z.looseObject(summary) })),
}) as unknown as z.ZodType<EvaluationReport>;

/** Leaves the records out. */
export function toReport(evaluation: Evaluation): EvaluationReport {
  const { records, ...report } = evaluation;
  void records;
  return report;
}
