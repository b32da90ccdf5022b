/** @file Whether searching found a right answer: the second paper's intermediate reward (arXiv:2505.15117, §3). */
import type { Trajectory } from "../types.js";
import { holdsWords, normaliseAnswer } from "./normalise.js";
import type { RewardFunction } from "./reward.js";

/**
 * Whether a right answer stands in a passage that was shown.
 *
 * Departures: 1. Whole words, where the released code takes any substring ("no" stands in every passage about Norway). 2. Passages, where the
 * released code takes everything between information tags, the prompt's own among them (`<information> and </information>`: "and" was always found).
 */
export function retrievedAnswer(trajectory: Trajectory, answers: readonly string[]): boolean {
  const expected = answers.map(normaliseAnswer).filter((answer) => answer !== "");
  return trajectory.searches.some(({ passages }) =>
    passages.some(({ title, text }) => {
      const passage = normaliseAnswer(`${title} ${text}`);
      return expected.some((answer) => holdsWords(passage, answer));
    }),
  );
}

/**
 * 1 when a right answer stood in a passage that was shown, else 0. The papers found that it adds little and harms where it weighs much: it pays
 * for searching on when the answer is known.
 */
export const retrieval: RewardFunction = ({ answers }, trajectory) => (retrievedAnswer(trajectory, answers) ? 1 : 0);
