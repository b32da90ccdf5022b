/** @file The clipped surrogate of PPO (arXiv:1707.06347, eq. 7): −Σ min(r·A, clip(r, 1 − low, 1 + high)·A). */
import type { Datum } from "../../types.js";
import { ratioInput, ratioResult, type Logprobs, type TokenLoss } from "./loss.js";

/** The ratio is clipped to [1 − clipLow, 1 + clipHigh]. */
export interface ClipOptions {
  clipLow: number;
  clipHigh: number;
}

/** Where the clipped branch is the smaller one the token has no gradient; elsewhere it is −r·A. */
export function ppo(logprobs_T: Logprobs, datum: Datum, { clipLow, clipHigh }: ClipOptions): TokenLoss {
  const { sampledMask_T, old_T, advantages_T } = ratioInput(logprobs_T, datum);
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  let loss = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    const ratio = Math.exp(logprobs_T[t] - old_T[t]);
    const free = ratio * advantages_T[t];
    const clipped = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantages_T[t];
    if (free <= clipped) {
      loss -= free;
      gradLogprobs_T[t] = -free;
    } else {
      loss -= clipped;
    }
  }
  return ratioResult(loss, gradLogprobs_T, datum);
}
