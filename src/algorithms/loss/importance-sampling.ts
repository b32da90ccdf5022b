/** @file −Σ r·A: the policy gradient, corrected for data of a slightly older policy. */
import type { Datum } from "../../types.js";
import { ratioInput, ratioResult, type Logprobs, type TokenLoss } from "./loss.js";

/** At r = 1 the gradient is REINFORCE's, −A·∂logprob. */
export function importanceSampling(logprobs_T: Logprobs, datum: Datum): TokenLoss {
  const { sampledMask_T, old_T, advantages_T } = ratioInput(logprobs_T, datum);
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  let loss = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    const weighted = Math.exp(logprobs_T[t] - old_T[t]) * advantages_T[t];
    loss -= weighted;
    gradLogprobs_T[t] = -weighted;
  }
  return ratioResult(loss, gradLogprobs_T, datum);
}
