/**
 * @file Questions from a JSONL file: `{"id","question","answers":[…]}` per line, plain or gzip; and from a folder with one such file for
 * training, one for validation and one for test.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../errors.js";
import { parseRecord, readLines, type Line } from "../files/lines.js";
import type { Evidence, Question } from "../types.js";

const shape = 'A line looks like {"id": "1", "question": "What is the capital of Peru?", "answers": ["Lima"]}.';

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
 * All questions of a file, or of a part of a folder. Search-R1's `golden_answers` is understood as `answers`.
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
  const file = partFile(folder, part);
  if (await stat(file).catch(() => undefined)) return readQuestions(file);
  throw new UserError(
    `${folder} has no ${part}.jsonl. A folder of questions has train.jsonl, validation.jsonl and test.jsonl, as sleuth questions make writes it; otherwise name a JSONL file.`,
  );
}

function requireSome(questions: Question[], file: string): Question[] {
  if (questions.length === 0) throw new UserError(`${file} holds no question. ${shape}`);
  return questions;
}

async function readQuestions(file: string): Promise<Question[]> {
  const questions: Question[] = [];
  const lineOf = new Map<string, number>();
  for await (const lines of readLines(file)) {
    for (const line of lines) {
      const question = parseQuestion(file, line);
      const earlier = lineOf.get(question.id);
      if (earlier !== undefined) {
        throw new UserError(
          `${file}:${line.number}: field "id": "${question.id}" stands already in line ${earlier}. Ids must be unique.`,
        );
      }
      lineOf.set(question.id, line.number);
      questions.push(question);
    }
  }
  return questions;
}

function parseQuestion(file: string, line: Line): Question {
  const place = `${file}:${line.number}`;
  const record = parseRecord(place, line.text, shape);
  const answers = record.answers ?? record.golden_answers;
  if (!Array.isArray(answers) || answers.length === 0 || !answers.every((answer) => isText(answer))) {
    throw new UserError(`${place}: field "answers" must be a list of at least one text that is not empty. ${shape}`);
  }
  if (!isText(record.question))
    throw new UserError(`${place}: field "question" must be text that is not empty. ${shape}`);
  const { id, hops, kind } = record;
  const evidence = parseEvidence(place, record.evidence);
  if (!isText(id) && !Number.isSafeInteger(id))
    throw new UserError(`${place}: field "id" must be text or a whole number. ${shape}`);
  if (hops !== undefined && !(Number.isSafeInteger(hops) && (hops as number) > 0)) {
    throw new UserError(`${place}: field "hops" must be a whole number of at least 1, or be left out.`);
  }
  return {
    id: String(id),
    question: record.question,
    answers: answers as string[],
    ...(hops === undefined ? {} : { hops: hops as number }),
    source: isText(record.source) ? record.source : path.basename(file),
    ...(isText(kind) ? { kind } : {}),
    ...(evidence === undefined ? {} : { evidence }),
  };
}

function parseEvidence(place: string, value: unknown): Evidence[] | undefined {
  if (value === undefined) return undefined;
  const isPassage = (one: unknown): one is Evidence =>
    typeof one === "object" && one !== null && "id" in one && isText(one.id);
  if (!Array.isArray(value) || !value.every(isPassage))
    throw new UserError(`${place}: field "evidence" must be a list of passages like {"id": "7"}, or be left out.`);
  return value.map(({ id, url }) => (isText(url) ? { id, url } : { id }));
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}
