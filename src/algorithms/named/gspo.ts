/**
 * @file GSPO (arXiv:2507.18071, eq. 5): GRPO's advantages, one clipped ratio per sequence, the mean over sequences. The clip range is the
 * paper's (§5.1): 3e-4 below and 4e-4 above, because a sequence's ratio is a geometric mean over its tokens.
 *
 * 1. The sequence is what the policy wrote, over all its turns.
 * 2. The standard deviation is the sample one. No KL.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const gspo: Choices = {
  ...standard,
  loss: "gspo",
  clipLow: 3e-4,
  clipHigh: 4e-4,
  aggregation: "sequence-mean",
};
