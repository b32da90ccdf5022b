/**
 * @file RLOO (arXiv:2402.14740): REINFORCE whose baseline is the mean of the group's other rewards.
 *
 * 1. The loss is −Σ r·A with importance ratios, which at ratio 1 is REINFORCE and stays right when one batch feeds several updates.
 * 2. The paper sums over a trajectory's tokens; here the sum is divided by all tokens of the update, which weighs them alike too.
 * 3. A KL, where asked for, is in the reward, as in the paper: β·Σ k1 is subtracted from a trajectory's reward.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const rloo: Choices = {
  ...standard,
  advantage: "rloo",
  loss: "importance-sampling",
  klIn: "reward",
  klEstimator: "k1",
};
