/** @file The clipped surrogate of PPO (arXiv:1707.06347, eq. 7): −Σ min(r·A, clip(r, 1 − low, 1 + high)·A). */
import type { Datum } from "../../types.js";
import type { Logprobs, TokenLoss } from "./loss.js";
import { ratioAt, sumTokens } from "./loss.js";

/** The ratio is clipped to [1 − clipLow, 1 + clipHigh]. */
export interface ClipOptions {
  clipLow: number;
  clipHigh: number;
}

/** Where the clipped branch is the smaller one the token has no gradient; elsewhere it is −r·A. */
export function ppo(logprobs_T: Logprobs, datum: Datum, options: ClipOptions): TokenLoss {
  const { clipLow, clipHigh } = options;
  return sumTokens(logprobs_T, datum, (t) => {
    const { ratio, advantage } = ratioAt(logprobs_T, datum, t);
    const free = ratio * advantage;
    const clipped = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantage;
    return free <= clipped ? { loss: -free, gradient: -free } : { loss: -clipped, gradient: 0 };
  });
}
