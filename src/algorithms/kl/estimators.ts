/**
 * @file Estimates of KL(π ‖ ref) from one sampled token (Schulman, "Approximating KL divergence", 2020), each with its
 * derivative by the log-probability of the token under π. With d = log π − log ref:
 *
 * k1 = d (unbiased, can be negative) · k2 = d²/2 (biased, low variance) · k3 = exp(−d) + d − 1 (unbiased, never
 * negative; GRPO's, arXiv:2402.03300, eq. 4). k3 is clamped to ±10 as in Search-R1's code, where the clamp is active it
 * has no gradient.
 */

/** One token's estimate, in nats. */
export interface KlTerm {
  value: number;
  /** ∂value/∂logprob */
  gradient: number;
}

/** An estimate from the token's log-probabilities (nats) under the policy and under the reference. */
export type KlEstimator = (logprob: number, referenceLogprob: number) => KlTerm;

/** d: unbiased, can be negative. */
export const k1: KlEstimator = (logprob, referenceLogprob) => ({ value: logprob - referenceLogprob, gradient: 1 });

/** d²/2: biased, of low variance. */
export const k2: KlEstimator = (logprob, referenceLogprob) => {
  const difference = logprob - referenceLogprob;
  return { value: 0.5 * difference * difference, gradient: difference };
};

const K3_LIMIT = 10;

/** exp(−d) + d − 1: unbiased and never negative (GRPO, eq. 4); at most 10. */
export const k3: KlEstimator = (logprob, referenceLogprob) => {
  const difference = logprob - referenceLogprob;
  // exp(−d) − 1 without cancellation: near the reference, d is far below the rounding of exp(−d).
  const excess = Math.expm1(-difference);
  const value = Math.max(0, excess + difference);
  // k3 is never below zero, so only the upper bound can be met.
  return value > K3_LIMIT ? { value: K3_LIMIT, gradient: 0 } : { value, gradient: -excess };
};

/** The estimators by name. */
export type KlName = "k1" | "k2" | "k3" | "abs";

export const klEstimators: Readonly<Record<KlName, KlEstimator>> = { k1, k2, k3 };
