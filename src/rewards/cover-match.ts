/**
 * @file Cover match: a right answer stands somewhere inside what was answered.
 *
 * `cover-match` asks for whole words: `sol` covers "Peruvian sol", not "solution". `substring-match` is the released code's
 * `compute_score_subem`, where any run of letters counts ("no" is found in "Norway"), and a right answer that normalises to nothing in everything.
 *
 * Both pay for lists: whoever names every candidate is always right. Where they are trained on, weigh `length` or `repetition` against them
 * and look at the run with `sleuth rescore`.
 */
import type { RewardFunction } from "./reward.js";
import { holdsWords, normaliseAnswer } from "./normalise.js";

/** 1 when the words of a right answer stand in the answer, in their order and side by side; else 0. */
export const coverMatch: RewardFunction = ({ answers }, { answer }) => {
  if (answer === null) return 0;
  const normalised = normaliseAnswer(answer);
  return answers.some((expected) => holdsWords(normalised, normaliseAnswer(expected))) ? 1 : 0;
};

/** 1 when a right answer is a substring of the answer, both normalised; else 0. */
export const substringMatch: RewardFunction = ({ answers }, { answer }) => {
  if (answer === null) return 0;
  const normalised = normaliseAnswer(answer);
  return answers.some((expected) => normalised.includes(normaliseAnswer(expected))) ? 1 : 0;
};
