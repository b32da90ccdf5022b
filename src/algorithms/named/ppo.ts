/**
 * @file PPO (arXiv:1707.06347, eq. 7) with a critic, as Search-R1 uses it (arXiv:2503.09516, eq. 3): GAE with γ = λ = 1, whitened over tokens,
 * clip 0.2, k1 KL to the frozen start with β = 0.001 in the reward.
 *
 * 1. Values, returns and whitening see the policy's tokens only; the original also counted retrieved ones (`observationsInAdvantage`).
 * 2. The original's entropy bonus of 0.001, which none of its scripts mentions, is off: `entropy: 0.001` brings it back.
 * 3. Mean over all policy tokens of the update; `micro-batch-mean` is the original's mean of means.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const ppo: Choices = {
  ...standard,
  advantage: "gae",
  gamma: 1,
  lambda: 1,
  whiten: true,
  kl: 0.001,
  klIn: "reward",
  klEstimator: "k1",
};
