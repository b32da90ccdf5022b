/** @file Sets questions aside for validation and test when the user gave one file for everything. */
import { UserError } from "../errors.js";
import { Random } from "../random.js";
import type { Question } from "../types.js";

export interface QuestionSplits {
  questions: Question[];
  validation: Question[];
  test: Question[];
}

/** Most of the questions that may be set aside; training keeps the rest. */
const shares = { validation: 0.1, test: 0.2 };

/** Draws `validation` and `test` questions, a function of the seed, capped at a tenth and a fifth of all. */
export function splitQuestions(
  questions: readonly Question[],
  sizes: { validation: number; test: number; seed: number },
): QuestionSplits {
  const validation = Math.min(sizes.validation, Math.floor(questions.length * shares.validation));
  const test = Math.min(sizes.test, Math.floor(questions.length * shares.test));
  const shuffled = new Random(sizes.seed, "split-questions").shuffle(questions);
  return {
    validation: shuffled.slice(0, validation),
    test: shuffled.slice(validation, validation + test),
    questions: shuffled.slice(validation + test),
  };
}

/** @throws UserError when there are none */
export function requireQuestions(questions: readonly Question[], source: string): void {
  if (questions.length > 0) return;
  throw new UserError(
    `${source} holds no questions to work on. A line looks like {"id":"1","question":"…","answers":["…"]}.`,
  );
}
