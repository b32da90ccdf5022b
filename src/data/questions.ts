/** @file Questions from a JSONL file: `{"id","question","answers":[…]}` per line, plain or gzip. */
import path from "node:path";
import { UserError } from "../errors.js";
import { parseRecord, readLines, type Line } from "../files/lines.js";
import type { Question } from "../types.js";

const shape = 'A line looks like {"id": "1", "question": "What is the capital of Peru?", "answers": ["Lima"]}.';

/**
 * All questions of a file. Search-R1's `golden_answers` is understood as `answers`.
 * @throws UserError naming file, line and field of the first malformed line, both lines of a repeated id, or an empty file
 */
export async function loadQuestions(file: string): Promise<Question[]> {
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
  if (questions.length === 0) throw new UserError(`${file} holds no question. ${shape}`);
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
  const { id, hops } = record;
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
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}
