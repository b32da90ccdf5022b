/** @file CISPO (arXiv:2506.13585, eq. 4): −Σ stop_gradient(clip(r, 1 − low, 1 + high))·A·log p. */
import type { Datum } from "../../types.js";
import type { Logprobs, TokenLoss } from "./loss.js";
import { ratioAt, sumTokens } from "./loss.js";
import type { ClipOptions } from "./ppo.js";

/** The ratio weighs the token but carries no gradient, so clipped tokens go on learning. */
export function cispo(logprobs_T: Logprobs, datum: Datum, options: ClipOptions): TokenLoss {
  const { clipLow, clipHigh } = options;
  return sumTokens(logprobs_T, datum, (t) => {
    const { ratio, advantage } = ratioAt(logprobs_T, datum, t);
    const weight = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantage;
    return { loss: -weight * logprobs_T[t], gradient: -weight };
  });
}
