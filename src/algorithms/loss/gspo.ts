/**
 * @file GSPO (arXiv:2507.18071, eq. 5): −min(s·A, clip(s, 1 − low, 1 + high)·A) with one ratio for the whole sequence,
 * s = exp(mean over its tokens of log r), the geometric mean of the tokens' ratios.
 *
 * 1. A is the sum of the tokens' advantages, shares included: with `sequence-mean` that is the sequence's advantage ÷ sequences, as in the paper.
 *    Advantages that differ from token to token count as their sum (GSPO-token, eq. 13, is not built).
 * 2. The mean runs over the tokens that carry loss: retrieved ones have no ratio.
 * 3. s moves by a mean, so its clip range is a thousandth of PPO's.
 */
import type { Datum } from "../../types.js";
import { ratioInput, ratioResult, type Logprobs, type RatioInput, type TokenLoss } from "./loss.js";
import type { ClipOptions } from "./ppo.js";

/** The gradient −s·A/tokens stands on every token of the sequence, or on none. */
export function gspo(logprobs_T: Logprobs, datum: Datum, { clipLow, clipHigh }: ClipOptions): TokenLoss {
  const input = ratioInput(logprobs_T, datum);
  const { sampledMask_T, advantages_T } = input;
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  const { ratio, tokens } = sequenceRatio(logprobs_T, input);
  let advantage = 0;
  for (let t = 1; t < logprobs_T.length; t++) if (sampledMask_T[t] === 1) advantage += advantages_T[t];
  const free = ratio * advantage;
  const clipped = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantage;
  if (free <= clipped) {
    for (let t = 1; t < logprobs_T.length; t++) if (sampledMask_T[t] === 1) gradLogprobs_T[t] = -free / tokens;
  }
  return ratioResult(0 - Math.min(free, clipped), gradLogprobs_T, datum);
}

/** s of a sequence, 1 where no token carries loss. */
export function sequenceRatio(
  logprobs_T: Logprobs,
  { sampledMask_T, old_T }: RatioInput,
): { ratio: number; tokens: number } {
  let sum = 0;
  let tokens = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    sum += logprobs_T[t] - old_T[t];
    tokens++;
  }
  return { ratio: Math.exp(sum / Math.max(1, tokens)), tokens };
}
