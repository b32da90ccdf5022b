/**
 * @file F1 over the words of an answer, as SQuAD and HotpotQA measure it (arXiv:1606.05250; arXiv:1809.09600, `hotpot_evaluate_v1.py`).
 *
 * 1. HotpotQA's special case: where one of the two is `yes`, `no` or `noanswer` and they differ, the score is 0; a share of "yes and no" is
 *    no merit. Answers of SQuAD are never just that, so the case costs nothing there.
 * 2. Two answers that normalise to nothing are equal (as in SQuAD 2.0).
 *
 * A policy that is unsure gains by answering not at all or at length, and training on F1 alone ends in answers that are avoided
 * (arXiv:2602.19526): weigh `no-answer` and `no-search` against it.
 */
import { answerWords } from "./normalise.js";
import type { RewardFunction } from "./reward.js";

const whole = new Set(["yes", "no", "noanswer"]);

/** 2·precision·recall ÷ (precision + recall) over words with their numbers; in [0, 1]. */
export function wordF1(answer: string, expected: string): number {
  const [given, right] = [answerWords(answer), answerWords(expected)];
  const equal = given.length === right.length && given.every((word, index) => word === right[index]);
  const isWhole = [given, right].some((words) => words.length === 1 && whole.has(words[0]));
  if (isWhole || given.length === 0 || right.length === 0) return equal ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of right) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count > 0) {
      common++;
      left.set(word, count - 1);
    }
  }
  return (2 * common) / (given.length + right.length);
}

/** The best F1 against any right answer; 0 without an answer. */
export const f1: RewardFunction = ({ answers }, { answer }) =>
  answer === null ? 0 : Math.max(0, ...answers.map((expected) => wordF1(answer, expected)));
