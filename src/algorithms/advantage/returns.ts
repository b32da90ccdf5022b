/**
 * @file Returns of one sequence that was compressed to the positions with advantages: G_n = r_n + γ·G_{n+1} (REINFORCE++,
 * arXiv:2501.03262, §3). Observations are no steps: γ discounts from one of the policy's tokens to its next.
 */

/** The discounted sum of the rewards from each position on. */
export function returnsToGo(rewards_N: Float64Array, gamma: number): Float64Array {
  const returns_N = new Float64Array(rewards_N.length);
  let next = 0;
  for (let n = rewards_N.length - 1; n >= 0; n--) {
    next = rewards_N[n] + gamma * next;
    returns_N[n] = next;
  }
  return returns_N;
}
