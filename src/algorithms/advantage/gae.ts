/**
 * @file Generalised advantage estimation (arXiv:1506.02438, eq. 16) of one sequence that was compressed to the positions with advantages:
 * δ_n = r_n + γ·V_{n+1} − V_n and A_n = δ_n + γλ·A_{n+1}; returns are A + V.
 *
 * 1. The value behind the last position is 0: an answer ends the episode, and so does running out of tokens.
 * 2. Observations are no steps: the value is carried across them. (The original's recursion ran through retrieved text and padding;
 *    `observationsInAdvantage` brings the first back, the second changes nothing at γ = λ = 1.)
 */

/** Advantages before whitening, and what the critic should have said. */
export function gae(
  rewards_N: Float64Array,
  values_N: Float64Array,
  { gamma, lambda }: { gamma: number; lambda: number },
): { advantages_N: Float64Array; returns_N: Float64Array } {
  const advantages_N = new Float64Array(rewards_N.length);
  const returns_N = new Float64Array(rewards_N.length);
  let nextValue = 0;
  let next = 0;
  for (let n = rewards_N.length - 1; n >= 0; n--) {
    next = rewards_N[n] + gamma * nextValue - values_N[n] + gamma * lambda * next;
    nextValue = values_N[n];
    advantages_N[n] = next;
    returns_N[n] = next + nextValue;
  }
  return { advantages_N, returns_N };
}
