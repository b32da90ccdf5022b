/** @file How far the policy has moved from the one that sampled the data: numbers for the metrics. */
import type { Datum } from "../types.js";
import { carriesLoss, ratioInput, sequenceRatio, type Logprobs, type PolicyLoss } from "./losses.js";

/** Counts and means over a batch. */
interface RatioStats {
  tokens: number;
  /** Of tokens; with GSPO of their sequences. */
  meanRatio: number;
  maxRatio: number;
  /** Share of tokens whose ratio is outside the clip range; 0 for losses without one. */
  clipFraction: number;
  /** k3 estimate of KL(sampler ‖ trainer) per token, in nats. */
  kl: number;
}

/**
 * Statistics over the tokens that carry loss.
 * @param isKnown whose log-probability was computed; default all that carry loss
 */
export function ratioStats(
  data_D: readonly Datum[],
  logprobs_D_T: readonly Logprobs[],
  loss: PolicyLoss,
  isKnown: (datum: Datum, t: number) => boolean = carriesLoss,
): RatioStats {
  const low = "clipLow" in loss ? 1 - loss.clipLow : -Infinity;
  const high = "clipHigh" in loss ? 1 + loss.clipHigh : Infinity;
  let [tokens, ratios, maxRatio, clipped, kl] = [0, 0, 0, 0, 0];
  data_D.forEach((datum, d) => {
    const logprobs_T = logprobs_D_T[d];
    const input = ratioInput(logprobs_T, datum);
    const { sampledMask_T, old_T } = input;
    const ofSequence = loss.kind === "gspo" ? sequenceRatio(logprobs_T, input).ratio : undefined;
    for (let t = 1; t < sampledMask_T.length; t++) {
      if (!isKnown(datum, t)) continue;
      const logRatio = logprobs_T[t] - old_T[t];
      const excess = Math.expm1(logRatio);
      const ratio = ofSequence ?? 1 + excess;
      tokens++;
      ratios += ratio;
      if (ratio > maxRatio) maxRatio = ratio;
      if (ratio < low || ratio > high) clipped++;
      // k3 of the sampler, which drew the tokens and so takes the place of the policy in the estimator.
      kl += Math.max(0, excess - logRatio);
    }
  });
  const divisor = Math.max(1, tokens);
  return { tokens, meanRatio: ratios / divisor, maxRatio, clipFraction: clipped / divisor, kl: kl / divisor };
}
