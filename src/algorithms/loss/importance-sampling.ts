/** @file −Σ r·A: the policy gradient, corrected for data of a slightly older policy. */
import type { Datum } from "../../types.js";
import type { Logprobs, TokenLoss } from "./loss.js";
import { ratioAt, sumTokens } from "./loss.js";

/** At r = 1 the gradient is REINFORCE's, −A·∂logprob. */
export function importanceSampling(logprobs_T: Logprobs, datum: Datum): TokenLoss {
  return sumTokens(logprobs_T, datum, (t) => {
    const { ratio, advantage } = ratioAt(logprobs_T, datum, t);
    return { loss: -ratio * advantage, gradient: -ratio * advantage };
  });
}
