/**
 * @file A loss with the KL to the frozen start added (GRPO, arXiv:2402.03300, eq. 3): L + β Σ share·kl over the policy's
 * tokens. What comes out is the whole per-token gradient, so any policy that knows weighted cross-entropy can take the
 * step (`train/custom-loss.ts`).
 */
import type { LossSpec } from "../../policy/policy.js";
import type { Datum } from "../../types.js";
import type { Logprobs } from "../loss/loss.js";
import { carriesLoss } from "../loss/loss.js";
import { dataLoss } from "../loss/table.js";
import { klEstimators } from "./estimators.js";

/** What is added to what. */
export interface WithKlOptions {
  /** The loss without KL. */
  loss: LossSpec;
  /** β. */
  beta: number;
  /** Weight of each token of a datum in the aggregate (`MadeData.shares_D`). */
  shares_D: readonly number[];
  /** Default "k3". */
  estimator?: "k1" | "k2" | "k3";
}

/** The whole loss with its parts and its gradient. */
export interface LossWithKl {
  loss: number;
  /** ∂loss/∂logprob */
  gradLogprobs_D_T: Float32Array[];
  policyLoss: number;
  /** Already multiplied by β. */
  klLoss: number;
  /** Plain mean of the estimate over tokens, in nats. */
  klPerToken: number;
}

/**
 * Loss and gradient at the current log-probabilities (nats). All arrays are aligned with `data_D`.
 * @throws Error (internal) when their lengths differ
 */
export function withKl(
  data_D: readonly Datum[],
  logprobs_D_T: readonly Logprobs[],
  referenceLogprobs_D_T: readonly Logprobs[],
  options: WithKlOptions,
): LossWithKl {
  const { loss, beta, shares_D, estimator = "k3" } = options;
  if (referenceLogprobs_D_T.length !== data_D.length || shares_D.length !== data_D.length) {
    throw new Error(
      `internal: ${data_D.length} data, reference log-probabilities of ${referenceLogprobs_D_T.length}, ${shares_D.length} shares`,
    );
  }
  const { loss: policyLoss, gradLogprobs_D_T } = dataLoss(loss, data_D, logprobs_D_T);
  let klLoss = 0;
  let klSum = 0;
  let tokens = 0;
  data_D.forEach((datum, row) => {
    for (let t = 0; t < datum.tokens_T.length; t++) {
      if (!carriesLoss(datum, t)) continue;
      const { value, gradient } = klEstimators[estimator](logprobs_D_T[row][t], referenceLogprobs_D_T[row][t]);
      klLoss += beta * shares_D[row] * value;
      gradLogprobs_D_T[row][t] += beta * shares_D[row] * gradient;
      klSum += value;
      tokens++;
    }
  });
  return { loss: policyLoss + klLoss, gradLogprobs_D_T, policyLoss, klLoss, klPerToken: klSum / Math.max(1, tokens) };
}
