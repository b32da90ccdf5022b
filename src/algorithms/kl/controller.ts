/**
 * @file The adaptive controller of β (Ziegler et al., arXiv:1909.08593, §2.2): β ← β·(1 + clip(kl/target − 1, ±0.2)·n/horizon).
 *
 * 1. n is the batch's trajectories, as in Search-R1's code: after `horizon` of them β has moved by a factor of about 1.2, at most.
 * 2. A batch of more than `horizon` counts as `horizon`: five times as many would turn β negative.
 */

/** β for the next batch. `kl` and `target` are nats per token. */
export function nextCoefficient(
  coefficient: number,
  { kl, trajectories }: { kl: number; trajectories: number },
  { target, horizon }: { target: number; horizon: number },
): number {
  const error = Math.min(Math.max(kl / target - 1, -0.2), 0.2);
  return coefficient * (1 + error * Math.min(1, trajectories / horizon));
}
