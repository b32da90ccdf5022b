/**
 * @file Advantage of REINFORCE (Williams, 1992): A = r − b.
 *
 * 1. `running-mean`: b is the running mean of the rewards of earlier batches, so that it is independent of this one; in the
 *    first batch there is none and the raw reward is the advantage.
 * 2. `batch-mean`: b is the mean of this batch. It contains the trajectory itself, a bias of 1/n of its advantage.
 * 3. `group-mean`: b is the mean of the attempts at the same question, as in Dr. GRPO; a group of one gets 0 and says why.
 * 4. `none` keeps raw rewards (what Search-R1's code did for a group of one).
 */
import { compareGroups, type Compared } from "./compare.js";
import { groupAdvantages } from "./group.js";

/** What is subtracted from rewards. */
export type Baseline = "running-mean" | "batch-mean" | "group-mean" | "none";

export interface BaselineOptions {
  /** Default "running-mean". */
  baseline?: Baseline;
  /** running-mean: share of the old mean that survives each batch. Default 0.9. */
  decay?: number;
}

/** Plain data, saved with the run; an empty state has seen nothing. */
export interface BaselineState {
  /** Running mean of rewards; absent before the first batch. */
  baseline?: number;
}

/** Advantages of a batch of rewards, and the state for the next batch. `groups_D` says which rows are attempts at the same question. */
export function reinforceAdvantages(
  rewards_D: readonly number[],
  groups_D: readonly number[],
  state: BaselineState,
  options: BaselineOptions = {},
): Compared & { state: BaselineState } {
  const { baseline = "running-mean", decay = 0.9 } = options;
  if (baseline === "group-mean") {
    return { ...compareGroups(rewards_D, groups_D, (rewards_G) => groupAdvantages(rewards_G, { std: "none" })), state };
  }
  const mean = rewards_D.reduce((sum, reward) => sum + reward, 0) / Math.max(1, rewards_D.length);
  const isRunning = baseline === "running-mean" && rewards_D.length > 0;
  const next = state.baseline === undefined ? mean : decay * state.baseline + (1 - decay) * mean;
  const subtracted = { "running-mean": state.baseline ?? 0, "batch-mean": mean, none: 0 }[baseline];
  return {
    advantages_D: rewards_D.map((reward) => reward - subtracted),
    silent_D: rewards_D.map(() => false),
    zeroVarianceGroups: 0,
    explanations: [],
    state: isRunning ? { baseline: next } : state,
  };
}
