/**
 * @file The KL to the frozen start: estimates of KL(π ‖ ref) from one sampled token (Schulman, "Approximating KL divergence", 2020), each with its
 * derivative by the log-probability of the token under π. With d = log π − log ref:
 *
 * k1 = d (unbiased, can be negative) · k2 = d²/2 (biased, low variance) · k3 = exp(−d) + d − 1 (unbiased, never
 * negative; GRPO's, arXiv:2402.03300, eq. 4) · abs = |d|. k3 is clamped to ±10 as in Search-R1's code, where the clamp is active it
 * has no gradient.
 *
 * The gradient of an estimate is not always an estimate of the gradient. Inside the loss, on tokens that π sampled, k2's is: E[d·∇log π]
 * is ∇KL(π ‖ ref). k1's is not: E[∇log π] = 0, so it pulls nowhere on average; k3's is that of KL(ref ‖ π). In the reward the value counts and
 * not the derivative, and there k1 is the right one.
 */

/** The estimators by name. */
export const klNames = ["k1", "k2", "k3", "abs"] as const;
export type KlName = (typeof klNames)[number];

/** Where k3 stops growing. */
const k3Limit = 10;

/** The estimate, in nats, from d = log π − log ref of a token. */
export function klValue(name: KlName, difference: number): number {
  switch (name) {
    case "k1":
      return difference;
    case "k2":
      return 0.5 * difference * difference;
    case "k3":
      return k3(difference);
    case "abs":
      return Math.abs(difference);
  }
}

/** ∂estimate/∂log π. */
export function klGradient(name: KlName, difference: number): number {
  switch (name) {
    case "k1":
      return 1;
    case "k2":
      return difference;
    case "k3":
      // k3 is never below zero, so only the upper bound can be met.
      return k3(difference) >= k3Limit ? 0 : -Math.expm1(-difference);
    case "abs":
      return Math.sign(difference);
  }
}

/** exp(−d) − 1 without cancellation: near the reference, d is far below the rounding of exp(−d). */
function k3(difference: number): number {
  return Math.min(k3Limit, Math.max(0, Math.expm1(-difference) + difference));
}

/**
 * β for the next batch, by the adaptive controller (Ziegler et al., arXiv:1909.08593, §2.2): β ← β·(1 + clip(kl/target − 1, ±0.2)·n/horizon).
 * `kl` and `target` are nats per token.
 *
 * 1. n is the batch's trajectories, as in Search-R1's code: after `horizon` of them β has moved by a factor of about 1.2, at most.
 * 2. A batch of more than `horizon` counts as `horizon`: five times as many would turn β negative.
 */
export function nextCoefficient(
  coefficient: number,
  { kl, trajectories }: { kl: number; trajectories: number },
  { target, horizon }: { target: number; horizon: number },
): number {
  const error = Math.min(Math.max(kl / target - 1, -0.2), 0.2);
  return coefficient * (1 + error * Math.min(1, trajectories / horizon));
}
