/**
 * @file DAPO (arXiv:2503.14476, eq. 8): GRPO with a higher upper clip (0.28), the mean over all tokens, no KL, and trajectories that ran out of
 * tokens left out of the loss.
 *
 * 1. Dynamic sampling is the loop's: `algorithm.dynamicSampling` says how many rounds of further questions it may take; 0 by default.
 * 2. Overlong trajectories are filtered (the paper's §3.4, first form). Its soft punishment is a reward and would stand among those.
 * 3. The standard deviation is the sample one.
 */
import type { Choices } from "../choices.js";
import { standard } from "./standard.js";

export const dapo: Choices = { ...standard, clipLow: 0.2, clipHigh: 0.28, overlong: "mask" };
