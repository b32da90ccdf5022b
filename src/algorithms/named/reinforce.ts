/**
 * @file REINFORCE (Williams, 1992) with a running baseline: the group-of-one case, and the best "group size" of
 * Search-R1's own table 8.
 *
 * 1. A = r − b with b the running mean of earlier batches; the groups' structure is not looked at.
 * 2. The loss is −Σ r·A with importance ratios, which at ratio 1 is REINFORCE and stays right when one batch feeds
 *    several updates. PPO's clip can be chosen instead.
 * 3. Mean over all policy tokens of the update; retrieved tokens carry no loss.
 * 4. A KL, where asked for, is in the reward.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const reinforce: Choices = {
  ...standard,
  advantage: "reinforce",
  baseline: "running-mean",
  loss: "importance-sampling",
  klIn: "reward",
  klEstimator: "k1",
};
