/**
 * @file Dual-clip PPO (arXiv:1912.09729, eq. 5): where A < 0, the surrogate is max(min(r·A, clip(r)·A), c·A) with c > 1. A token that the
 * policy has come to like much more than the sampler did, and that turned out bad, can otherwise have a loss without bound.
 */
import type { Datum } from "../../types.js";
import { ratioInput, ratioResult, type Logprobs, type TokenLoss } from "./loss.js";
import type { ClipOptions } from "./ppo.js";

export interface DualClipOptions extends ClipOptions {
  /** c: the loss of a token with negative advantage is at most c·|A|. */
  dualClip: number;
}

/** PPO's loss and gradient, but none where c·A is reached. */
export function dualClipPpo(
  logprobs_T: Logprobs,
  datum: Datum,
  { clipLow, clipHigh, dualClip }: DualClipOptions,
): TokenLoss {
  const { sampledMask_T, old_T, advantages_T } = ratioInput(logprobs_T, datum);
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  let loss = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    const ratio = Math.exp(logprobs_T[t] - old_T[t]);
    const advantage = advantages_T[t];
    const free = ratio * advantage;
    const clipped = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantage;
    const surrogate = Math.min(free, clipped);
    if (advantage < 0 && surrogate < dualClip * advantage) {
      loss -= dualClip * advantage;
    } else {
      loss -= surrogate;
      if (free <= clipped) gradLogprobs_T[t] = -free;
    }
  }
  return ratioResult(loss, gradLogprobs_T, datum);
}
