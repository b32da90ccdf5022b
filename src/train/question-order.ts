/** @file Which questions a step trains on: a pure function of (seed, step), so the step number is the whole data cursor. */
import { Random } from "../random.js";
import type { Question } from "../types.js";

/** A question together with how often it has come before: one group's identity. */
export interface Draw {
  question: Question;
  /** Epoch in which the question is drawn, from 0. */
  draw: number;
}

/** The `count` questions of step `step` (from 0): epochs follow each other, each shuffled anew. */
export function questionsOfStep(questions: readonly Question[], seed: number, step: number, count: number): Draw[] {
  return itemsOfStep(questions, seed, step, count).map(({ item, draw }) => ({ question: item, draw }));
}

/** The same of anything. */
export function itemsOfStep<Item>(
  items: readonly Item[],
  seed: number,
  step: number,
  count: number,
): { item: Item; draw: number }[] {
  const orders = new Map<number, number[]>();
  return Array.from({ length: count }, (_, offset) => {
    const position = step * count + offset;
    const draw = Math.floor(position / items.length);
    const order = orders.get(draw) ?? epochOrder(items.length, seed, draw);
    orders.set(draw, order);
    return { item: items[order[position % items.length]], draw };
  });
}

function epochOrder(length: number, seed: number, epoch: number): number[] {
  return new Random(seed, "question-order", epoch).shuffle(Array.from({ length }, (_, index) => index));
}
