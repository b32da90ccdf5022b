/**
 * @file The questions that a verb works on: from a file, JSONL or Parquet, or from a folder with one JSONL file for training, one for validation and one
 * for test.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../errors.js";
import type { Question } from "../types.js";
import { DefectError, questionShape } from "./question-record.js";
import { readQuestionRows } from "./question-rows.js";

/** The parts of a folder of questions. Its files are `train.jsonl`, `validation.jsonl` and `test.jsonl`. */
export const questionParts = ["train", "validation", "test"] as const;
export type QuestionPart = (typeof questionParts)[number];

/** The file of a part. */
export function partFile(folder: string, part: QuestionPart): string {
  return path.join(folder, `${part}.jsonl`);
}

/** Whether a source is a folder of questions, with a part for each use, and not one file for everything. */
export async function isQuestionsFolder(source: string): Promise<boolean> {
  return (await stat(source).catch(() => undefined))?.isDirectory() ?? false;
}

/**
 * The parts that a folder has.
 * @throws UserError when it has none
 */
export async function partsOf(folder: string): Promise<QuestionPart[]> {
  const has = await Promise.all(questionParts.map((part) => hasPart(folder, part)));
  const parts = questionParts.filter((_, index) => has[index]);
  if (parts.length === 0) throw noPart(folder, "train");
  return parts;
}

async function hasPart(folder: string, part: QuestionPart): Promise<boolean> {
  return (await stat(partFile(folder, part)).catch(() => undefined)) !== undefined;
}

function noPart(folder: string, part: QuestionPart): UserError {
  return new UserError(
    `${folder} has no ${part}.jsonl. A folder of questions has train.jsonl, validation.jsonl and test.jsonl, as sleuth data and sleuth questions make write it; otherwise name a file.`,
  );
}

/**
 * All questions of a file, or of a part of a folder, in our layout, FlashRAG's or Search-R1's.
 * @param part of a folder; a file is read whole
 * @throws UserError naming file, line and field of the first malformed line, both lines of a repeated id, a file without questions (the
 * validation or test part of a folder may have none), or the part that a folder lacks
 */
export async function loadQuestions(source: string, part: QuestionPart = "train"): Promise<Question[]> {
  if (!(await isQuestionsFolder(source))) return requireSome(await readQuestions(source), source);
  const questions = await readPart(source, part);
  return part === "train" ? requireSome(questions, partFile(source, part)) : questions;
}

/**
 * The questions of a part of a folder; there may be none.
 * @throws UserError as `loadQuestions`
 */
export async function readPart(folder: string, part: QuestionPart): Promise<Question[]> {
  if (!(await hasPart(folder, part))) throw noPart(folder, part);
  return readQuestions(partFile(folder, part));
}

function requireSome(questions: Question[], file: string): Question[] {
  if (questions.length === 0) throw new UserError(`${file} holds no question. ${questionShape}`);
  return questions;
}

async function readQuestions(file: string): Promise<Question[]> {
  const questions: Question[] = [];
  const placeOf = new Map<string, string>();
  for await (const { place, ...row } of readQuestionRows(file)) {
    if ("defect" in row) throw row.defect;
    const { id, source = path.basename(file), ...rest } = row.question;
    if (id === undefined)
      throw new DefectError("no-id", `${place}: field "id" must be text or a whole number. ${questionShape}`);
    const earlier = placeOf.get(id);
    if (earlier !== undefined)
      throw new DefectError(
        "repeated",
        `${place}: field "id": "${id}" stands already at ${earlier}. Ids must be unique.`,
      );
    placeOf.set(id, place);
    questions.push({ id, ...rest, source });
  }
  return questions;
}
