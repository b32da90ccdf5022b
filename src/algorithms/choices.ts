/**
 * @file The choices that make up an algorithm, once: type, bounds and meaning of each. A named algorithm is a set of them (`named.ts`); a run
 * configuration can make most of them differently (`settings.ts`).
 */
import { z } from "zod";
import { aggregations } from "./aggregate.js";
import { klNames } from "./kl.js";

const count = z.int().positive();
const share = z.number().min(0).max(1);
const atLeastZero = z.number().nonnegative();

export const choiceFields = {
  advantage: z
    .enum(["group", "rloo", "reinforce", "reinforce++", "gae"])
    .describe("how rewards become advantages; gae needs a critic, which is then trained beside the policy"),
  std: z.enum(["sample", "population", "none"]).describe("group: what centred rewards are divided by"),
  groupOfOne: z
    .enum(["zero", "raw"])
    .describe("group: the advantage of a group of one: 0, or its raw reward as in Search-R1's code"),
  baseline: z
    .enum(["running-mean", "batch-mean", "group-mean", "none"])
    .describe("reinforce, reinforce++: what is subtracted from rewards"),
  baselineDecay: share.describe("running-mean: share of the old mean that survives a batch"),
  gamma: share.describe("gae, reinforce++: discount from one token of the policy to the next"),
  lambda: share.describe("gae: weight of longer returns"),
  whiten: z.boolean().describe("shift and scale a batch's advantages to mean 0 and deviation 1, over tokens"),
  loss: z.enum(["ppo", "importance-sampling", "cispo", "gspo"]).describe("loss on probability ratios"),
  clipLow: share.describe("how far below 1 a ratio may fall before its gradient stops"),
  clipHigh: z.number().positive().describe("how far above 1 a ratio may rise"),
  dualClip: atLeastZero.describe("ppo: a token with negative advantage loses at most so many times its size; 0: off"),
  truncatedRatio: atLeastZero.describe(
    "weigh tokens by the trainer's over the sampler's probability, at most so much; costs a forward pass; 0: off",
  ),
  trainerRatios: z.boolean().describe("take the denominators of ratios from the trainer instead of the sampler"),
  aggregation: z
    .enum(aggregations)
    .describe("how tokens share in the loss; constant: the sum over trajectories × rollout.maxTokens"),
  constantTokens: count.describe("aggregation constant: the length that sums are divided by"),
  microBatchRows: count.describe("aggregation micro-batch-mean: rows of one micro-batch"),
  kl: atLeastZero.describe("β, weight of the divergence from the starting policy; 0 skips it"),
  klIn: z.enum(["loss", "reward"]).describe("where the divergence is added"),
  klEstimator: z.enum(klNames).describe("how it is estimated from a sampled token"),
  klTarget: atLeastZero.describe("nats per token that β is steered to; 0: β is fixed"),
  klHorizon: count.describe("klTarget: attempts after which β has moved by its largest step"),
  entropy: z.number().describe("weight of the entropy bonus; 0: none"),
  overlong: z
    .enum(["train", "mask"])
    .describe("attempts that ran out of tokens: trained on, or compared but left out of the loss"),
  maskRetrieved: z
    .boolean()
    .describe("train only on tokens the policy wrote; false also trains on retrieved text (an ablation)"),
  observationsInAdvantage: z
    .boolean()
    .describe("faithful mode: advantages, whitening, returns and values also at retrieved tokens"),
  groupByIndex: z
    .boolean()
    .describe("faithful mode: compare attempts whose questions' ids end in the same number, whatever their dataset"),
};

/** All choices of an algorithm; what each means stands in `choiceFields`. */
export type Choices = z.output<z.ZodObject<typeof choiceFields>>;
