/** @file Exact match: Search-R1's outcome reward. */
import type { RewardFunction } from "./reward.js";
import { normaliseAnswer } from "./normalise.js";

/** Whether an answer equals one of the right answers after SQuAD normalisation. */
export function matchesAnswer(answer: string, answers: readonly string[]): boolean {
  const normalised = normaliseAnswer(answer);
  return answers.some((expected) => normaliseAnswer(expected) === normalised);
}

/** 1 when the policy's answer is right, else 0; no answer is 0. Original: `qa_em.compute_score_em` with format_score 0. */
export const exactMatch: RewardFunction = (question, trajectory) =>
  trajectory.answer !== null && matchesAnswer(trajectory.answer, question.answers) ? 1 : 0;
