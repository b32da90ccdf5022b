/**
 * @file What an update minimises: a loss on probability ratios, with a KL to the frozen start and an entropy bonus where they are wanted.
 */
import type { LossSpec } from "../policy/policy.js";
import type { KlName } from "./kl/estimators.js";

/** A loss on ratios: those that engines compute by themselves, and those that only TypeScript knows. */
export type PolicyLoss =
  | Exclude<LossSpec, { kind: "cross_entropy" }>
  /** PPO whose loss of a token with negative advantage is at most c·|A| (arXiv:1912.09729, eq. 5). */
  | { kind: "dual-clip"; clipLow: number; clipHigh: number; dualClip: number }
  /** The clipped surrogate on the ratio of whole sequences (GSPO, arXiv:2507.18071, eq. 5). */
  | { kind: "gspo"; clipLow: number; clipHigh: number };

export interface Objective {
  loss: PolicyLoss;
  /** Added to the loss: β Σ share·KL estimate. Absent: no KL in the loss. */
  kl?: { coefficient: number; estimator: KlName };
  /** Weight of the entropy bonus, already in the data's `entropyWeights_T`; 0: none. */
  entropy: number;
}
