/**
 * @file The algorithms by name. Each is a set of choices, with the paper it comes from and the numbered departures from it. A new algorithm is
 * a new row.
 */
import type { Choices } from "./choices.js";

/** What every row begins with: GRPO as below, everything optional switched off. */
const standard: Choices = {
  advantage: "group",
  std: "sample",
  groupOfOne: "zero",
  baseline: "running-mean",
  baselineDecay: 0.9,
  gamma: 1,
  lambda: 1,
  whiten: false,
  loss: "ppo",
  clipLow: 0.2,
  clipHigh: 0.2,
  dualClip: 0,
  truncatedRatio: 0,
  trainerRatios: false,
  aggregation: "token-mean",
  constantTokens: 512,
  microBatchRows: 8,
  kl: 0,
  klIn: "loss",
  klEstimator: "k3",
  klTarget: 0,
  klHorizon: 10_000,
  entropy: 0,
  maskRetrieved: true,
  overlong: "train",
  observationsInAdvantage: false,
  groupByIndex: false,
};

const named = {
  /**
   * GRPO (arXiv:2402.03300, eq. 3) as Search-R1 uses it (arXiv:2503.09516, eq. 4): clipped surrogate on group-relative advantages,
   * retrieved tokens masked.
   *
   * 1. The standard deviation is the sample one (n − 1).
   * 2. The mean is over all policy tokens of the update, not over each sequence. `aggregation: "sequence-mean"` is the paper's form.
   * 3. No KL unless it is asked for (`kl: 0.001` is Search-R1's): it costs a second model's forward pass and a loss in two passes.
   * 4. Groups without variance are left out and counted, unless a KL or an entropy bonus is used: those hold for them too.
   * 5. A group of one gets advantage 0 (see `groupAdvantages`).
   * 6. Trajectories that were cancelled or whose search engine failed are neither compared nor trained on.
   */
  grpo: standard,
  /**
   * Dr. GRPO (arXiv:2503.20783, §3.2): GRPO without its two biases. Advantages are not divided by the group's deviation, which made easy
   * and hard questions count more, and a token's weight does not depend on the length of its sequence, which made long wrong answers cheap.
   *
   * 1. The constant is the most tokens of a trajectory (`rollout.maxTokens`). Gradients are small: with clipping by norm and AdamW that matters
   *    little, but a learning rate tuned for another mean does not carry over where clipping is off.
   * 2. Sequences without signal do not count in the divisor.
   */
  "dr-grpo": { ...standard, std: "none", aggregation: "constant" },
  /**
   * DAPO (arXiv:2503.14476, eq. 8): GRPO with a higher upper clip (0.28), the mean over all tokens, no KL, and trajectories that ran out of
   * tokens left out of the loss.
   *
   * 1. Dynamic sampling is the loop's: `algorithm.dynamicSampling` says how many rounds of further questions it may take; 0 by default.
   * 2. Overlong trajectories are filtered (the paper's §3.4, first form). Its soft punishment is a reward and would stand among those.
   * 3. The standard deviation is the sample one.
   */
  dapo: { ...standard, clipLow: 0.2, clipHigh: 0.28, overlong: "mask" },
  /**
   * GSPO (arXiv:2507.18071, eq. 5): GRPO's advantages, one clipped ratio per sequence, the mean over sequences. The clip range is the
   * paper's (§5.1): 3e-4 below and 4e-4 above, because a sequence's ratio is a geometric mean over its tokens.
   *
   * 1. The sequence is what the policy wrote, over all its turns.
   * 2. The standard deviation is the sample one. No KL.
   */
  gspo: { ...standard, loss: "gspo", clipLow: 3e-4, clipHigh: 4e-4, aggregation: "sequence-mean" },
  /**
   * CISPO (MiniMax-M1, arXiv:2506.13585, eq. 4): group advantages, clipped ratios as weights that carry no gradient, so that no token stops
   * learning; the mean over all tokens; no KL.
   *
   * 1. No lower bound, as in the paper (clipLow 1: ratios are positive).
   * 2. The paper prints no upper bound; ratios are cut at 5 (clipHigh 4), what ScaleRL (arXiv:2510.13786) settled on.
   */
  cispo: { ...standard, loss: "cispo", clipLow: 1, clipHigh: 4 },
  /**
   * RLOO (arXiv:2402.14740): REINFORCE whose baseline is the mean of the group's other rewards.
   *
   * 1. The loss is −Σ r·A with importance ratios, which at ratio 1 is REINFORCE and stays right when one batch feeds several updates.
   * 2. The paper sums over a trajectory's tokens; here the sum is divided by all tokens of the update, which weighs them alike too.
   * 3. A KL, where asked for, is in the reward, as in the paper: β·Σ k1 is subtracted from a trajectory's reward.
   */
  rloo: { ...standard, advantage: "rloo", loss: "importance-sampling", klIn: "reward", klEstimator: "k1" },
  /**
   * REINFORCE (Williams, 1992) with a running baseline: the group-of-one case, and the best "group size" of Search-R1's own table 8.
   *
   * 1. A = r − b with b the running mean of earlier batches; the groups' structure is not looked at.
   * 2. The loss is −Σ r·A with importance ratios, which at ratio 1 is REINFORCE and stays right when one batch feeds several
   *    updates. PPO's clip can be chosen instead.
   * 3. Mean over all policy tokens of the update; retrieved tokens carry no loss.
   * 4. A KL, where asked for, is in the reward.
   */
  reinforce: {
    ...standard,
    advantage: "reinforce",
    baseline: "running-mean",
    loss: "importance-sampling",
    klIn: "reward",
    klEstimator: "k1",
  },
  /**
   * REINFORCE++ (arXiv:2501.03262): A_t = reward − β Σ_{i ≥ t} kl_i, whitened over the tokens of the whole batch, with PPO's clipped
   * surrogate. And its variant with a baseline: the group's mean is subtracted from the reward first, the KL (k2) is in the loss.
   *
   * 1. Returns run over the policy's tokens only, so what was written before a search receives the final reward. (verl's version multiplies
   *    the running return by a mask that is 0 on retrieved text, and gives those tokens 0.)
   * 2. β is 0.001, Search-R1's; the paper prints none that would suit exact match. The variant's is 0 unless asked for, like GRPO's.
   * 3. Rewards are neither clipped nor scaled: they are bounded.
   * 4. Whitened, a group of equal rewards is not exactly 0: it stands at a distance from the batch's mean, so it is trained on.
   */
  "reinforce++": {
    ...standard,
    advantage: "reinforce++",
    baseline: "none",
    whiten: true,
    kl: 0.001,
    klIn: "reward",
    klEstimator: "k1",
  },
  "reinforce++-baseline": {
    ...standard,
    advantage: "reinforce++",
    baseline: "group-mean",
    whiten: true,
    klIn: "loss",
    klEstimator: "k2",
  },
  /**
   * PPO (arXiv:1707.06347, eq. 7) with a critic, as Search-R1 uses it (arXiv:2503.09516, eq. 3): GAE with γ = λ = 1, whitened over tokens,
   * clip 0.2, k1 KL to the frozen start with β = 0.001 in the reward.
   *
   * 1. Values, returns and whitening see the policy's tokens only; the original also counted retrieved ones (`observationsInAdvantage`).
   * 2. The original's entropy bonus of 0.001, which none of its scripts mentions, is off: `entropy: 0.001` brings it back.
   * 3. Mean over all policy tokens of the update; `micro-batch-mean` is the original's mean of means.
   */
  ppo: {
    ...standard,
    advantage: "gae",
    gamma: 1,
    lambda: 1,
    whiten: true,
    kl: 0.001,
    klIn: "reward",
    klEstimator: "k1",
  },
} satisfies Record<string, Readonly<Choices>>;

/** The algorithms by name. */
export type AlgorithmName = keyof typeof named;
export const algorithmNames = Object.keys(named) as AlgorithmName[];

/** What a name chooses. */
export function choicesOf(name: AlgorithmName): Readonly<Choices> {
  return named[name];
}
