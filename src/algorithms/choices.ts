/** @file The choices that make up an algorithm. A named algorithm is a set of them; every one can be chosen differently. */
import type { Aggregation } from "./aggregate.js";
import type { KlName } from "./kl.js";

export interface Choices {
  /** How rewards become advantages. */
  advantage: "group" | "rloo" | "reinforce" | "reinforce++" | "gae";
  /** group: what centred rewards are divided by. */
  std: "sample" | "population" | "none";
  /** group: the advantage of a group of one: 0, or its raw reward as in Search-R1's code. */
  groupOfOne: "zero" | "raw";
  /** reinforce, reinforce++: what is subtracted from rewards. */
  baseline: "running-mean" | "batch-mean" | "group-mean" | "none";
  /** running-mean: share of the old mean that survives a batch. */
  baselineDecay: number;
  /** gae, reinforce++: discount from one token of the policy to the next. */
  gamma: number;
  /** gae: λ. */
  lambda: number;
  /** Shift and scale the advantages of a batch's tokens to mean 0 and deviation 1. */
  whiten: boolean;
  loss: "ppo" | "importance-sampling" | "cispo" | "gspo";
  /** Ratios are clipped to [1 − clipLow, 1 + clipHigh]. */
  clipLow: number;
  clipHigh: number;
  /** ppo: the loss of a token with negative advantage is at most so many times its size; 0: off. */
  dualClip: number;
  /** Most that sampler and trainer may differ in a token's probability before its weight is cut (truncated importance sampling); 0: off. */
  truncatedRatio: number;
  /** Take the denominators of ratios from the trainer instead of the sampler. */
  trainerRatios: boolean;
  aggregation: Aggregation;
  /** aggregation constant: the length that sums are divided by. */
  constantTokens: number;
  /** aggregation micro-batch-mean: rows of one micro-batch. */
  microBatchRows: number;
  /** β of the KL to the frozen start; 0: no reference is needed. */
  kl: number;
  klIn: "loss" | "reward";
  klEstimator: KlName;
  /** KL per token (nats) that an adaptive controller steers to; 0: β is fixed. */
  klTarget: number;
  /** Adaptive: trajectories after which β has moved by its largest step. */
  klHorizon: number;
  /** Weight of the entropy bonus; 0: none. */
  entropy: number;
  /** Train only on tokens that the policy wrote. */
  maskRetrieved: boolean;
  /** Trajectories that ran out of tokens: trained on, or left out of the loss (they are still compared). */
  overlong: "train" | "mask";
  /** Faithful mode: advantages, whitening, returns and values also at retrieved tokens. */
  observationsInAdvantage: boolean;
  /** Faithful mode: compare attempts whose questions' ids end in the same number, though they be of different datasets. */
  groupByIndex: boolean;
}
