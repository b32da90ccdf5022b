/** @file CISPO (arXiv:2506.13585, eq. 4): −Σ stop_gradient(clip(r, 1 − low, 1 + high))·A·log p. */
import type { Datum } from "../../types.js";
import { ratioInput, ratioResult, type Logprobs, type TokenLoss } from "./loss.js";
import type { ClipOptions } from "./ppo.js";

/** The ratio weighs the token but carries no gradient, so clipped tokens go on learning. */
export function cispo(logprobs_T: Logprobs, datum: Datum, { clipLow, clipHigh }: ClipOptions): TokenLoss {
  const { sampledMask_T, old_T, advantages_T } = ratioInput(logprobs_T, datum);
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  let loss = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    const ratio = Math.exp(logprobs_T[t] - old_T[t]);
    const weight = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantages_T[t];
    loss -= weight * logprobs_T[t];
    gradLogprobs_T[t] = -weight;
  }
  return ratioResult(loss, gradLogprobs_T, datum);
}
