/** @file Evaluations on file, for tests. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Question, Trajectory } from "../types.js";
import { scoresOf, toEvaluation, toReport, type EvaluationRecord, type EvaluationReport } from "./evaluation.js";
import { questionsChecksum, recordLine, type EvaluationHead } from "./folder.js";
import { ours } from "../rewards/answers.js";

/** An attempt that ended with an answer, or without one. */
export function recordOf(
  question: Question,
  answer: string | null,
  given: Partial<EvaluationRecord> & { searches?: Trajectory["searches"] } = {},
): EvaluationRecord {
  const { searches = [], ...rest } = given;
  const trajectory: Trajectory = {
    questionId: question.id,
    segments: [],
    searches,
    answer,
    finishReason: answer === null ? "out-of-turns" : "answered",
    texts: [],
    timing: { policyMs: 0, searchMs: 0 },
  };
  const exactMatch = ours.exactMatch(question, trajectory);
  const scores = { exactMatch, reward: exactMatch, ...scoresOf(question, trajectory) };
  return { question, index: 0, attempt: 0, trajectory, ...scores, ...rest };
}

/** A head of no particular evaluation. */
export function headOf(questions: readonly Question[], given: Partial<EvaluationHead> = {}): EvaluationHead {
  return {
    model: "atlas-base",
    weights: "",
    method: "search-r1",
    engine: "bm25",
    settings: { search: { topK: 3 } },
    questions: { source: "questions.jsonl", n: questions.length, checksum: questionsChecksum(questions) },
    commit: null,
    seed: 0,
    temperature: 0,
    attempts: 1,
    startedAt: "2026-11-30T12:00:00.000Z",
    ...given,
  };
}

/** Writes an evaluation's folder, finished unless `report` is null. */
export async function writeEvaluation(
  folder: string,
  records: readonly EvaluationRecord[],
  given: { head?: Partial<EvaluationHead>; report?: EvaluationReport | null } = {},
): Promise<void> {
  const questions = [...new Map(records.map(({ question }) => [question.id, question])).values()];
  const head = headOf(questions, given.head);
  const finished = toReport(toEvaluation([...records], { temperature: head.temperature, seconds: 1 }));
  const saved = {
    head,
    spent: { seconds: 1, costUsd: 0 },
    report: given.report === undefined ? finished : given.report,
  };
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "evaluation.json"), JSON.stringify(saved));
  await writeFile(path.join(folder, "attempts.jsonl"), records.map(recordLine).join(""));
}
