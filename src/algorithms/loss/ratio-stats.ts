/** @file How far the policy has moved from the one that sampled the data: numbers for the metrics. */
import type { LossSpec } from "../../policy/policy.js";
import type { Datum } from "../../types.js";
import { k3 } from "../kl/estimators.js";
import { carriesLoss, ratioAt } from "./loss.js";
import type { Logprobs } from "./loss.js";

/** Counts and means over a batch. */
export interface RatioStats {
  tokens: number;
  meanRatio: number;
  maxRatio: number;
  /** Share of tokens whose ratio is outside the clip range; 0 for losses without one. */
  clipFraction: number;
  /** k3 estimate of KL(sampler ‖ trainer) per token, in nats. */
  kl: number;
}

/** Statistics over the tokens that carry loss. */
export function ratioStats(data_D: readonly Datum[], logprobs_D_T: readonly Logprobs[], loss: LossSpec): RatioStats {
  const stats: RatioStats = { tokens: 0, meanRatio: 0, maxRatio: 0, clipFraction: 0, kl: 0 };
  const clips = "clipLow" in loss ? loss : { clipLow: Infinity, clipHigh: Infinity };
  data_D.forEach((datum, row) => {
    for (let t = 0; t < datum.tokens_T.length; t++) {
      if (!carriesLoss(datum, t)) continue;
      const { ratio } = ratioAt(logprobs_D_T[row], datum, t);
      stats.tokens++;
      stats.meanRatio += ratio;
      stats.maxRatio = Math.max(stats.maxRatio, ratio);
      stats.clipFraction += ratio < 1 - clips.clipLow || ratio > 1 + clips.clipHigh ? 1 : 0;
      // The tokens were drawn from the sampler, so it takes the place of the policy in the estimator.
      stats.kl += k3((datum.logprobs_T as Float32Array)[t], logprobs_D_T[row][t]).value;
    }
  });
  const divisor = Math.max(1, stats.tokens);
  stats.meanRatio /= divisor;
  stats.clipFraction /= divisor;
  stats.kl /= divisor;
  return stats;
}
