/** @file From a measured difference to what may be said of a paper's finding. */
import type { SeedEstimate } from "./statistics.js";

/**
 * What a finding says of left − right: `higher` and `lower` speak of its sign; `equal` says that it lies within the margin,
 * `not-higher` that it is no gain beyond the margin, `different` that it is not 0.
 */
export type Expectation = "higher" | "lower" | "equal" | "not-higher" | "different";

export type Verdict = "holds" | "fails" | "unseen" | "not run";

/** Differences that would not matter, for findings that say that there is none. */
export interface JudgeOptions {
  margin: number;
}

/** Seeds without which nothing is said: two can agree by chance, and their interval is then of no width. */
const leastSeeds = 3;

/** `holds` and `fails` only where the whole 95 % interval says so; `unseen` where it reaches over both. */
export function judge(expectation: Expectation, difference: SeedEstimate, { margin }: JudgeOptions): Verdict {
  const { low, high, n } = difference;
  if (n < leastSeeds) return "not run";
  switch (expectation) {
    case "higher":
      return low > 0 ? "holds" : high < 0 ? "fails" : "unseen";
    case "lower":
      return high < 0 ? "holds" : low > 0 ? "fails" : "unseen";
    case "different":
      return low > 0 || high < 0 ? "holds" : Math.max(-low, high) < margin ? "fails" : "unseen";
    case "equal":
      return Math.max(-low, high) < margin ? "holds" : low > margin || high < -margin ? "fails" : "unseen";
    case "not-higher":
      return high < margin ? "holds" : low > margin ? "fails" : "unseen";
  }
}

/** In words. */
export const verdictWords: Readonly<Record<Verdict, string>> = {
  holds: "holds here",
  fails: "does not hold here",
  unseen: "cannot be seen here",
  "not run": "not run yet (or with too few seeds)",
};
