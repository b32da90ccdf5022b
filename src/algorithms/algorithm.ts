/** @file What an algorithm is to the training loop, and the part that all of them share. */
import type { LossSpec } from "../policy/policy.js";
import { lacksLogprobs, policyTokenCount, trajectoryToDatum } from "./datum.js";
import type { Datum, Group, Trajectory } from "../types.js";
import type { Aggregation } from "./aggregate.js";
import { lossTokens, tokenShares, withAdvantage } from "./aggregate.js";

/** What an algorithm remembers between batches: plain data, saved with the run. */
export interface AlgorithmState {
  /** Running mean of rewards, where a baseline is used. */
  baseline?: number;
}

export interface Algorithm {
  readonly name: string;
  /** β of the KL to the frozen start; 0: no reference is needed. */
  readonly klCoefficient: number;
  initialState(): AlgorithmState;
  /**
   * The training data of one update. The aggregate is taken over all groups given, so give the groups of one optimizer
   * step together; the data may then be split into any micro-batches.
   */
  makeData(groups: readonly Group[], state: AlgorithmState): MadeData;
}

export interface MadeData {
  data_D: Datum[];
  loss: LossSpec;
  /** Weight of each token of a datum in the aggregate, for `withKl`. */
  shares_D: number[];
  /** Some tokens lack old log-probabilities (ablation without mask): call `fillEnvironmentLogprobs` first. */
  lacksLogprobs: boolean;
  stats: DataStats;
  /** For the next batch. */
  state: AlgorithmState;
}

export interface DataStats {
  groups: number;
  /** Groups whose rewards were all equal. */
  zeroVarianceGroups: number;
  trajectories: number;
  /** Not the policy's doing (cancelled, search failed): neither compared nor trained on. */
  excludedTrajectories: number;
  meanReward: number;
  /** Mean |advantage| over the data. */
  meanAbsoluteAdvantage: number;
  /** In the data: tokens that carry loss, and all tokens. */
  lossTokens: number;
  tokens: number;
  /** Why groups had no signal, each reason once. */
  explanations: string[];
}

/** A trajectory that is trained on. */
export interface Scored {
  trajectory: Trajectory;
  advantage: number;
}

/** Whether the end was the policy's own doing. */
export function isPolicyOutcome(trajectory: Trajectory): boolean {
  const { finishReason } = trajectory;
  return finishReason !== "cancelled" && finishReason !== "search-failed" && policyTokenCount(trajectory) > 0;
}

/** The group without trajectories that ended for reasons outside the policy. */
export function comparable(group: Group): Group {
  const { question, trajectories_G, rewards_G } = group;
  if (rewards_G.length !== trajectories_G.length) {
    throw new Error(
      `internal: question ${question.id} has ${trajectories_G.length} trajectories and ${rewards_G.length} rewards`,
    );
  }
  const kept = trajectories_G
    .map((trajectory, member) => ({ trajectory, reward: rewards_G[member] }))
    .filter(({ trajectory }) => isPolicyOutcome(trajectory));
  return {
    question,
    trajectories_G: kept.map(({ trajectory }) => trajectory),
    rewards_G: kept.map(({ reward }) => reward),
  };
}

export interface AssembleOptions {
  aggregation: Aggregation;
  constantTokens?: number;
  maskRetrieved: boolean;
}

/** Data with advantages folded in, and the statistics that follow from them alone. */
export function assemble(
  scored: readonly Scored[],
  options: AssembleOptions,
): Pick<MadeData, "data_D" | "shares_D" | "lacksLogprobs"> &
  Pick<DataStats, "meanAbsoluteAdvantage" | "lossTokens" | "tokens"> {
  const { aggregation, constantTokens, maskRetrieved } = options;
  const bare_D = scored.map(({ trajectory }) => trajectoryToDatum(trajectory, { maskRetrieved }));
  const tokens_D = bare_D.map(lossTokens);
  const shares_D = tokenShares(tokens_D, aggregation, constantTokens);
  const data_D = bare_D.map((datum, row) => withAdvantage(datum, scored[row].advantage, shares_D[row]));
  return {
    data_D,
    shares_D,
    lacksLogprobs: bare_D.some(lacksLogprobs),
    meanAbsoluteAdvantage: mean(scored.map(({ advantage }) => Math.abs(advantage))),
    lossTokens: tokens_D.reduce((sum, tokens) => sum + tokens, 0),
    tokens: bare_D.reduce((sum, datum) => sum + datum.tokens_T.length, 0),
  };
}

/** 0 for nothing. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
