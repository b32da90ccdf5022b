/**
 * @file REINFORCE++ (arXiv:2501.03262): A_t = reward − β Σ_{i ≥ t} kl_i, whitened over the tokens of the whole batch, with PPO's clipped
 * surrogate. And its variant with a baseline: the group's mean is subtracted from the reward first, the KL (k2) is in the loss.
 *
 * 1. Returns run over the policy's tokens only, so what was written before a search receives the final reward. (verl's version multiplies
 *    the running return by a mask that is 0 on retrieved text, and gives those tokens 0.)
 * 2. β is 0.001, Search-R1's; the paper prints none that would suit exact match. The variant's is 0 unless asked for, like GRPO's.
 * 3. Rewards are neither clipped nor scaled: they are bounded.
 * 4. Whitened, a group of equal rewards is not exactly 0: it stands at a distance from the batch's mean, so it is trained on.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const reinforcePlusPlus: Choices = {
  ...standard,
  advantage: "reinforce++",
  baseline: "none",
  whiten: true,
  kl: 0.001,
  klIn: "reward",
  klEstimator: "k1",
};

export const reinforcePlusPlusBaseline: Choices = {
  ...standard,
  advantage: "reinforce++",
  baseline: "group-mean",
  whiten: true,
  klIn: "loss",
  klEstimator: "k2",
};
