/**
 * @file Leave-one-out advantage (RLOO, arXiv:2402.14740, §2.3; Kool et al., 2019): A_i = r_i − mean of the group's other rewards.
 *
 * 1. Computed as (r_i − mean) · n/(n − 1), which is the same.
 * 2. A group of one has no others: advantage 0, explained like GRPO's.
 */
import { groupAdvantages, type GroupAdvantages } from "./group.js";

/** Advantages of the trajectories of one question; they sum to 0. */
export function rlooAdvantages(rewards_G: readonly number[]): GroupAdvantages {
  const centred = groupAdvantages(rewards_G, { std: "none" });
  if (centred.zeroVariance) return centred;
  const scale = rewards_G.length / (rewards_G.length - 1);
  return { ...centred, advantages_G: centred.advantages_G.map((value) => value * scale) };
}
