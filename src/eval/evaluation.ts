/** @file What an evaluation found: a record for every attempt, and the numbers computed from them with their intervals. */
import type { FinishReason, Question, Role, Trajectory } from "../types.js";
import { z } from "zod";
import { squad, ours } from "../rewards/answers.js";
import type { JudgeReport } from "../rewards/judge/judge.js";
import type { TraceRecord } from "../rollout/trace.js";
import { severalAttempts, type AtK } from "./attempts.js";
import { bootstrapMean, mean, wilson, type Estimate } from "./intervals.js";
import { byQuestion, metrics, type Metric, type MetricName } from "./metrics.js";

/** One attempt at a question, as it stands in a line of a file. Scores stand side by side: none of them is a sum of others. */
export interface EvaluationRecord {
  question: Question;
  /** Place of the question in the set, from 0. */
  index: number;
  /** Which of the attempts at the question, from 0. */
  attempt: number;
  trajectory: Trajectory;
  /** 1 when the answer equals a gold answer after normalisation, else 0. */
  exactMatch: number;
  /** The same after SQuAD's normalisation, for numbers beside published ones. */
  squadMatch: number;
  /** Of words, the best against any gold answer; in [0, 1]. */
  f1: number;
  /** 1 when the words of a gold answer stand in the answer, side by side; else 0. */
  coverMatch: number;
  /** Weighted sum of the rewards in use. */
  reward: number;
  /** What the judge says, in [0, 1]; absent where none was asked. */
  judge?: number;
  /** 1 when a gold answer stands in a passage that was shown, else 0. */
  answerShown: number;
  /** 1 when a gold answer stands in any passage of the index, else 0; absent where the passages are not at hand. */
  answerInCorpus?: number;
}

/** Every score of an attempt that can be computed from it. */
export function scoresOf(
  question: Question,
  trajectory: Trajectory,
): Pick<EvaluationRecord, "squadMatch" | "f1" | "coverMatch" | "answerShown"> {
  return {
    squadMatch: squad.exactMatch(question, trajectory),
    f1: ours.f1(question, trajectory),
    coverMatch: ours.coverMatch(question, trajectory),
    answerShown: ours.retrievedAnswer(trajectory, question.answers) ? 1 : 0,
  };
}

/**
 * A record from a line of a file, also of an earlier version: scores that it lacks are computed. Those versions compared answers as SQuAD does where they did not say what was
 * right. A line without its question is wrong throughout.
 * @param place of the line among those of its file, from 0
 */
export function recordOfTrace(trace: TraceRecord, place: number): EvaluationRecord {
  const { trajectory, step, ...rest } = trace;
  void step;
  const question = trace.question ?? { id: trajectory.questionId, question: "", answers: [] };
  const scores = scoresOf(question, trajectory);
  const exactMatch = scores.squadMatch;
  return { index: place, attempt: 0, reward: 0, exactMatch, ...scores, ...rest, question, trajectory };
}

/** Tokens of an attempt by author, averaged over attempts. */
export type TokenMeans = Record<Role, number>;

/** The numbers of a set of records. What is optional is absent in reports of earlier versions, or was not measured. */
export interface EvaluationSummary {
  /** Questions. */
  n: number;
  /** Attempts at each of them; absent: 1. Then every number is a question's mean over its attempts, averaged over questions. */
  attempts?: number;
  exactMatch: Estimate;
  /** Absent in reports of earlier versions, whose `exactMatch` is SQuAD's. */
  squadMatch?: Estimate;
  f1?: Estimate;
  coverMatch?: Estimate;
  judge?: Estimate;
  reward: Estimate;
  /** Share of questions that ended with an answer. */
  answered: Estimate;
  answerShown?: Estimate;
  answerInCorpus?: Estimate;
  /** Executed searches. */
  searchesPerQuestion: Estimate;
  /** Executed searches divided by the searches an ideal searcher needs; null where that is not known. */
  searchesToNeeded: number | null;
  /** Share of executed searches that failed. */
  failedSearches: number;
  finish: Record<FinishReason, number>;
  tokens?: TokenMeans;
  /** For 1, 2, 4, … and all attempts, where there are several: whether one of k is right. */
  passAt?: AtK[];
  /** The same of the answer that most of k give. */
  majAt?: AtK[];
}

/** What an evaluation was besides its records. */
export interface EvaluationRun {
  /** 0 is greedy. */
  temperature: number;
  /** Of all processes that worked on it. */
  seconds: number;
  /** US dollars that servers were paid, where prices are known. */
  costUsd?: number;
  /** Questions that could not be attempted and are not counted, and why. */
  skipped?: { id: string; why: string }[];
  /** Where a judge was asked. */
  judgements?: JudgeReport;
}

export interface Evaluation extends EvaluationSummary, EvaluationRun {
  /** By the searches a question needs, where that is known. */
  perHop: { hops: number; summary: EvaluationSummary }[];
  /** By dataset and split, where there are several. */
  perSource?: { source: string; summary: EvaluationSummary }[];
  /** In the order of the questions, and of the attempts at each. */
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
  const questions = byQuestion(records);
  const attempts = Math.max(0, ...questions.map((group) => group.length));
  const trajectories = records.map((record) => record.trajectory);
  const searches = trajectories.map((trajectory) => trajectory.searches.length);
  const needed = records.map((record) => record.question.hops);
  const failed = trajectories
    .flatMap((trajectory) => trajectory.searches)
    .filter((search) => search.error !== undefined);
  const total = searches.reduce((sum, value) => sum + value, 0);
  return {
    n: questions.length,
    ...(attempts > 1 ? { attempts } : {}),
    ...(Object.fromEntries(
      Object.entries(metrics).flatMap(([name, metric]) => {
        const estimate = estimateOf(questions, metric);
        return estimate === undefined ? [] : [[name, estimate]];
      }),
    ) as Pick<EvaluationSummary, MetricName>),
    searchesToNeeded:
      needed.every((hops) => hops !== undefined) && records.length > 0 ? mean(searches) / mean(needed) : null,
    failedSearches: total === 0 ? 0 : failed.length / total,
    finish: finishShares(trajectories),
    ...(records.length > 0 ? { tokens: tokenMeans(trajectories) } : {}),
    ...(attempts > 1 ? severalAttempts(questions) : {}),
  };
}

/** Over questions; undefined where it was measured of none of them. */
function estimateOf(
  questions: readonly (readonly EvaluationRecord[])[],
  { of, isShare }: Metric,
): Estimate | undefined {
  const values = questions.flatMap((attempts) => {
    const measured = attempts.flatMap((record) => of(record) ?? []);
    return measured.length === 0 ? [] : [measured];
  });
  if (values.length === 0) return questions.length > 0 ? undefined : isShare ? wilson(0, 0) : bootstrapMean([]);
  if (isShare && values.every(({ length }) => length === 1))
    return wilson(values.filter(([value]) => value === 1).length, values.length);
  return bootstrapMean(values.map(mean));
}

function tokenMeans(trajectories: readonly Trajectory[]): TokenMeans {
  const sums: TokenMeans = { prompt: 0, policy: 0, environment: 0 };
  for (const { segments } of trajectories)
    for (const { role, tokens_T } of segments) sums[role] += tokens_T.length / trajectories.length;
  return sums;
}

/** The numbers over all records, per hop and per dataset. */
export function toEvaluation(records: EvaluationRecord[], run: EvaluationRun): Evaluation {
  const hops = distinct(records.flatMap(({ question }) => question.hops ?? [])).sort((a, b) => a - b);
  const perHop = hops.map((value) => ({
    hops: value,
    summary: summarize(records.filter(({ question }) => question.hops === value)),
  }));
  const sources = distinct(records.map(({ question }) => question.source ?? ""));
  const perSource = sources.map((source) => ({
    source,
    summary: summarize(records.filter(({ question }) => (question.source ?? "") === source)),
  }));
  return { ...summarize(records), ...run, perHop, ...(sources.length > 1 ? { perSource } : {}), records };
}

function distinct<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)];
}

/** An evaluation without its records, small enough for result.json and events. */
export type EvaluationReport = Omit<Evaluation, "records">;

// JSON has null for what is no number, such as the mean of nothing.
const number = z.number().nullable();
const measured = number.transform((value) => value ?? NaN);
const estimate = z.object({ value: measured, low: measured, high: measured });
const atK = z.array(z.object({ k: z.int().positive(), value: estimate }));
const summary = {
  n: z.int().nonnegative(),
  exactMatch: estimate,
  reward: estimate,
  answered: estimate,
  searchesPerQuestion: estimate,
  searchesToNeeded: number,
  failedSearches: number,
  finish: z.record(z.string(), number),
  // Reports of older versions have none of these.
  attempts: z.int().positive().optional(),
  squadMatch: estimate.optional(),
  f1: estimate.optional(),
  coverMatch: estimate.optional(),
  judge: estimate.optional(),
  answerShown: estimate.optional(),
  answerInCorpus: estimate.optional(),
  tokens: z.object({ prompt: number, policy: number, environment: number }).optional(),
  passAt: atK.optional(),
  majAt: atK.optional(),
};
/** A report as it stands in a file. */
export const reportSchema = z.looseObject({
  ...summary,
  temperature: z.number(),
  seconds: number,
  costUsd: number.optional(),
  skipped: z.array(z.object({ id: z.string(), why: z.string() })).optional(),
  judgements: z.looseObject({ scored: number, asked: number, failed: number }).optional(),
  perHop: z.array(z.looseObject({ hops: z.number(), summary: z.looseObject(summary) })),
  perSource: z.array(z.looseObject({ source: z.string(), summary: z.looseObject(summary) })).optional(),
}) as unknown as z.ZodType<EvaluationReport>;

/** Leaves the records out. */
export function toReport(evaluation: Evaluation): EvaluationReport {
  const { records, ...report } = evaluation;
  void records;
  return report;
}
