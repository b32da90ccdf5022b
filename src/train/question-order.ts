/** @file Which questions come next: a pure function of the seed and of how many have been drawn, so that number is the whole data cursor. */
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
