/**
 * @file What an algorithm is to the training loop: two steps of arithmetic between which the loop computes whatever the first asks for.
 *
 * groups → `rows` (once per batch) → the loop adds values and log-probabilities → `advantages` (once per batch) → `makeData` (once per
 * update, over the rows of that update).
 */
import type { Datum, Group, Trajectory } from "../types.js";
import type { KlName } from "./kl.js";
import type { PolicyLoss } from "./losses.js";

/** What an algorithm remembers between batches: plain data, saved with the run. */
export interface AlgorithmState {
  /** Running mean of rewards, where a baseline is used. */
  baseline?: number;
  /** β, where a controller moves it. */
  klCoefficient?: number;
}

/** One trajectory on its way to training. All `_T` arrays are aligned with `tokens_T`. */
export interface Row {
  trajectory: Trajectory;
  reward: number;
  /** Rows of equal number are attempts at the same draw of the same question: they are compared. */
  group: number;
  tokens_T: number[];
  /** 1 where the token carries policy loss: written by the policy (or, in the ablation, retrieved). */
  sampledMask_T: Uint8Array;
  /**
   * 1 where an advantage is made: the policy's tokens. Rewards, values and returns pass from one such position to the next, across
   * observations. (Faithful mode: every token after the prompt.)
   */
  advantageMask_T: Uint8Array;
  /** Log-probabilities under which the tokens were sampled: the denominators of ratios. NaN where `Needs.currentLogprobs` will put them. */
  logprobs_T: Float32Array;
  /** Multiplies the token's loss: truncated importance sampling between sampler and trainer. Absent: 1. */
  correction_T?: Float32Array;
  /** Under the frozen start, where `Needs.reference`. */
  referenceLogprobs_T?: Float32Array;
  /** V_t of the critic, where `Needs.values`. */
  values_T?: Float32Array;
}

/** What the loop has to compute for every row before `advantages`. */
export interface Needs {
  /** `referenceLogprobs_T`. */
  reference: boolean;
  /** `values_T`; the rows' `returns_T` are then trained on by the critic. */
  values: boolean;
  /** The trainer's own log-probabilities before the batch's first update; `withCurrentLogprobs` takes them. */
  currentLogprobs: boolean;
}

/** A row with what it teaches. */
export interface AdvantageRow extends Row {
  advantages_T: Float32Array;
  /** What the critic should have said; only from estimators with values. */
  returns_T?: Float32Array;
  /** Whether nothing is to be learned from it: all rewards of its group were equal. */
  zeroVariance: boolean;
}

export interface Advantages {
  rows: AdvantageRow[];
  stats: AdvantageStats;
  /** For the next batch. */
  state: AlgorithmState;
}

export interface AdvantageStats {
  groups: number;
  /** Groups whose rewards were all equal. */
  zeroVarianceGroups: number;
  trajectories: number;
  /** Not the policy's doing (cancelled, search failed): neither compared nor trained on. */
  excludedTrajectories: number;
  meanReward: number;
  /** Over the tokens that carry loss. */
  meanAbsoluteAdvantage: number;
  /** Mean over trained tokens of the KL estimate that was taken from the rewards (nats, before β); only with KL in the reward. */
  rewardKl?: number;
  /** 1 − Var(R − V)/Var(R) over the tokens with values; only with a critic. */
  explainedVariance?: number;
  /** Why groups had no signal, each reason once. */
  explanations: string[];
}

/** The training data of one update. */
export interface MadeData {
  data_D: Datum[];
  /** Reference log-probabilities of each datum, where the objective has a KL. */
  referenceLogprobs_D_T?: Float32Array[];
  /** Weight of each token of a datum in the aggregate. */
  shares_D: number[];
  /** In the data: tokens that carry loss, and all tokens. */
  lossTokens: number;
  tokens: number;
}

/** What an update minimises: a loss on ratios, with a KL to the frozen start and an entropy bonus where they are wanted. */
export interface Objective {
  loss: PolicyLoss;
  /** Added to the loss: β Σ share·KL estimate. Absent: no KL in the loss. */
  kl?: { coefficient: number; estimator: KlName };
  /** Weight of the entropy bonus, already in the data's `entropyWeights_T`; 0: none. */
  entropy: number;
}

/** Rows of a batch in the order of their groups, with the counts of what was left out. */
export interface Rows {
  rows: Row[];
  groups: number;
  trajectories: number;
}

export interface Algorithm {
  readonly name: string;
  readonly needs: Needs;
  initialState(): AlgorithmState;
  /**
   * The rows of a batch, without trajectories that ended for reasons outside the policy.
   * @throws Error (internal) when a group's rewards do not pair with its trajectories
   */
  rows(groups: readonly Group[]): Rows;
  /** The rows with the trainer's own log-probabilities where they are needed (missing ones, corrections). Aligned with `rows`. */
  withCurrentLogprobs(rows: readonly Row[], logprobs_D_T: readonly Float32Array[]): Row[];
  /**
   * Advantages of a whole batch.
   * @throws Error (internal) when rows lack what `needs` names
   */
  advantages(batch: Rows, state: AlgorithmState): Advantages;
  /**
   * The data of one update. The aggregate is over exactly the rows given; the data may be split into any micro-batches. Empty when there is
   * nothing to learn from them.
   */
  makeData(rows: readonly AdvantageRow[], state: AlgorithmState): MadeData;
  /** Loss, KL and entropy, for a state (β may move). */
  objective(state: AlgorithmState): Objective;
  /** The state after a batch whose mean KL to the frozen start was `kl` nats per token: adaptive controllers move β. */
  afterBatch(state: AlgorithmState, measured: { kl: number; trajectories: number }): AlgorithmState;
}
