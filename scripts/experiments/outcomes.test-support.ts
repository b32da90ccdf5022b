/** @file Outcomes made up for tests. */
import type { Outcome, Scores } from "./outcome.js";

export function scoresLike(sampled: number): Scores {
  return {
    n: 300,
    sampled,
    greedy: Math.min(1, 2 * sampled),
    sampledSearches: 2 * sampled,
    greedySearches: 2 * sampled,
    sampledByHops: [sampled, sampled, sampled],
  };
}

/** A run whose validation EM at T = 1 went through these values, one every five steps, and that was tested at `sampled`. */
export function outcomeLike(
  variant: string,
  seed: number,
  sampled: number,
  course: readonly number[] = [0, sampled],
): Outcome {
  return {
    variant,
    seed,
    command: ["train", "--seed", String(seed)],
    commits: ["abcdef0123"],
    before: scoresLike(0.02),
    after: scoresLike(sampled),
    seconds: 30,
    wallSeconds: 40,
    bestStep: 30,
    curve: course.map((value, index) => ({ step: index * 5, sampled: value, greedy: value })),
  };
}
