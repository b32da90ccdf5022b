/**
 * @file Advantage of REINFORCE (Williams, 1992): A = r − b, with a baseline that does not depend on the trajectory.
 *
 * 1. The baseline is the running mean of the rewards of earlier batches, so that it is independent of this one; in the
 *    first batch there is none and the raw reward is the advantage.
 */

export interface ReinforceOptions {
  /** "none" keeps raw rewards (what Search-R1's code did for a group of one). Default "running-mean". */
  baseline?: "running-mean" | "none";
  /** Share of the old mean that survives each batch. Default 0.9. */
  decay?: number;
}

/** Plain data, saved with the run; an empty state has seen nothing. */
export interface BaselineState {
  /** Running mean of rewards; absent before the first batch. */
  baseline?: number;
}

/** Advantages of a batch of rewards, and the state for the next batch. */
export function reinforceAdvantages(
  rewards: readonly number[],
  state: BaselineState,
  options: ReinforceOptions = {},
): { advantages: number[]; state: BaselineState } {
  const { baseline = "running-mean", decay = 0.9 } = options;
  if (baseline === "none" || rewards.length === 0) return { advantages: [...rewards], state };
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
  const next = state.baseline === undefined ? mean : decay * state.baseline + (1 - decay) * mean;
  return { advantages: rewards.map((reward) => reward - (state.baseline ?? 0)), state: { baseline: next } };
}
