/**
 * @file Which questions a run works on: what is set aside for validation and test, and which come next. The order is a pure function of the
 * seed and of how many have been drawn, so that number is the whole data cursor.
 */
import { UserError } from "../errors.js";
import { Random } from "../random.js";
import type { Question } from "../types.js";

/** A question together with how often it has come before: one group's identity. */
export interface Draw {
  question: Question;
  /** Epoch in which the question is drawn, from 0. */
  draw: number;
}

/** The next `count` questions after `drawn` of them: epochs follow each other, each shuffled anew. */
export function drawQuestions(questions: readonly Question[], seed: number, drawn: number, count: number): Draw[] {
  return drawItems(questions, seed, drawn, count).map(({ item, draw }) => ({ question: item, draw }));
}

/** The same of anything. */
export function drawItems<Item>(
  items: readonly Item[],
  seed: number,
  drawn: number,
  count: number,
): { item: Item; draw: number }[] {
  const orders = new Map<number, number[]>();
  return Array.from({ length: count }, (_, offset) => {
    const position = drawn + offset;
    const draw = Math.floor(position / items.length);
    const order = orders.get(draw) ?? epochOrder(items.length, seed, draw);
    orders.set(draw, order);
    return { item: items[order[position % items.length]], draw };
  });
}

function epochOrder(length: number, seed: number, epoch: number): number[] {
  return new Random(seed, "question-order", epoch).shuffle(Array.from({ length }, (_, index) => index));
}

export interface QuestionSplits {
  questions: Question[];
  validation: Question[];
  test: Question[];
}

/** Most of the questions that may be set aside; training keeps the rest. */
const shares = { validation: 0.1, test: 0.2 };

/** Sets `validation` and `test` questions aside, a function of the seed, at most a tenth and a fifth of all: for users who give one file for everything. */
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
