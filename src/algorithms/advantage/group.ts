/**
 * @file Group-relative advantage (GRPO, arXiv:2402.03300, §4.1.2): A_i = (r_i − mean(r)) / (std(r) + ε).
 *
 * 1. The standard deviation is the sample one (n − 1), as in Search-R1's code; the population one and none at all
 *    (Dr. GRPO, arXiv:2503.20783) are options.
 * 2. A group whose rewards are all equal gets exact zeros, not rounding errors divided by ε.
 * 3. A group of one gets advantage 0 and says why. Search-R1's code kept the raw reward there, which is REINFORCE without a baseline:
 *    `groupOfOne: "raw"`.
 */

/** What the centred rewards are divided by. */
export type GroupStd = "sample" | "population" | "none";

export interface GroupAdvantageOptions {
  /** Default "sample". */
  std?: GroupStd;
  /** The advantage of a group of one: 0, or its reward. Default "zero". */
  groupOfOne?: "zero" | "raw";
  /** Default 1e-6. */
  epsilon?: number;
}

/** The advantages of one group, `[G]`. */
export interface GroupAdvantages {
  advantages_G: number[];
  /** All rewards were equal: nothing to learn from this group. */
  zeroVariance: boolean;
  /** Why the advantages are 0, for logs. */
  explanation?: string;
}

/** Advantages of the trajectories of one question; they sum to 0. */
export function groupAdvantages(rewards_G: readonly number[], options: GroupAdvantageOptions = {}): GroupAdvantages {
  const { std = "sample", groupOfOne = "zero", epsilon = 1e-6 } = options;
  const size = rewards_G.length;
  if (size === 1) {
    if (groupOfOne === "raw") return { advantages_G: [...rewards_G], zeroVariance: false };
    const explanation =
      "the group has one trajectory: its reward is its own mean, so the advantage is 0; use groups of two or more, or the algorithm reinforce";
    return { advantages_G: [0], zeroVariance: true, explanation };
  }
  if (rewards_G.every((reward) => reward === rewards_G[0])) {
    const explanation = `all ${size} rewards are equal`;
    return { advantages_G: rewards_G.map(() => 0), zeroVariance: true, explanation };
  }
  const mean = rewards_G.reduce((sum, reward) => sum + reward, 0) / size;
  const centred_G = rewards_G.map((reward) => reward - mean);
  if (std === "none") return { advantages_G: centred_G, zeroVariance: false };
  const squares = centred_G.reduce((sum, value) => sum + value * value, 0);
  const deviation = Math.sqrt(squares / (std === "sample" ? size - 1 : size));
  return { advantages_G: centred_G.map((value) => value / (deviation + epsilon)), zeroVariance: false };
}
