/**
 * @file The settings of an algorithm in a run configuration: the groups `algorithm` and `critic` and the algorithm's switches of `faithful`.
 * Type, bounds and meaning of a choice are those of `choices.ts`.
 */
import { z } from "zod";
import { choiceFields as choices, type Choices } from "./choices.js";
import { algorithmNames, choicesOf } from "./named.js";

const count = z.int().positive();
const countOrZero = z.int().nonnegative();

const helpOf = ({ description = "" }: z.ZodType): string => description;

/** A choice, or `auto`, which leaves it to the algorithm's name. */
function orAuto<Schema extends z.ZodType>(schema: Schema, help = helpOf(schema)) {
  return z
    .union([z.literal("auto"), schema])
    .default("auto")
    .describe(help);
}

/** The same for a choice among names, as one enum: its error messages list them. */
function nameOrAuto<const Names extends readonly string[]>({
  options,
  description = "",
}: {
  options: Names;
  description?: string;
}) {
  return z
    .enum(["auto", ...options])
    .default("auto")
    .describe(description);
}

export const algorithmFields = {
  name: z
    .enum(algorithmNames)
    .default("grpo")
    .describe("a set of the choices below, which its page in docs/algorithms.md lists; auto leaves a choice to it"),
  groupSize: count.default(8).describe("attempts per question"),
  advantage: nameOrAuto(choices.advantage),
  std: nameOrAuto(choices.std),
  baseline: nameOrAuto(choices.baseline),
  gamma: orAuto(choices.gamma),
  lambda: orAuto(choices.lambda),
  whiten: orAuto(choices.whiten),
  loss: nameOrAuto(choices.loss),
  clip: orAuto(choices.clipLow, `${helpOf(choices.clipLow)}, and above 1 without clipHigh`),
  clipHigh: orAuto(choices.clipHigh, `${helpOf(choices.clipHigh)}; auto: as clip, or the algorithm's own`),
  dualClip: orAuto(choices.dualClip),
  truncatedRatio: orAuto(choices.truncatedRatio),
  aggregation: nameOrAuto(choices.aggregation.exclude(["micro-batch-mean"]).describe(helpOf(choices.aggregation))),
  kl: orAuto(choices.kl),
  klIn: nameOrAuto(choices.klIn),
  klEstimator: nameOrAuto(choices.klEstimator),
  klTarget: orAuto(choices.klTarget),
  klHorizon: choices.klHorizon.default(choicesOf("grpo").klHorizon).describe(helpOf(choices.klHorizon)),
  entropy: orAuto(choices.entropy),
  overlong: nameOrAuto(choices.overlong),
  dynamicSampling: countOrZero
    .default(0)
    .describe("rounds of further questions where groups have equal rewards and teach nothing (DAPO); 0: none"),
  maskRetrieved: choices.maskRetrieved.default(true).describe(helpOf(choices.maskRetrieved)),
};

export const criticFields = {
  learningRate: z
    .number()
    .positive()
    .default(1e-4)
    .describe("peak learning rate; its course and AdamW are those of optimizer"),
  warmupSteps: countOrZero.default(0).describe("steps of linear warm-up of its learning rate"),
  headStart: countOrZero.default(0).describe("steps at the beginning that train the critic alone"),
  clip: z.number().nonnegative().default(0.5).describe("most that a value may move in one batch; 0: any"),
};

const off = z.boolean().default(false);

/** The switches of the faithful mode that are an algorithm's. */
export const faithfulFields = {
  observations: off.describe(
    "advantages, whitening and the critic's loss count retrieved tokens as if they were the policy's",
  ),
  microBatchMean: countOrZero
    .default(0)
    .describe("mean over tokens inside micro-batches of so many attempts, then over micro-batches; 0: one mean (ours)"),
  groupOfOne: off.describe("GRPO: a group of one keeps its raw reward as advantage"),
  groupByIndex: off.describe("compare attempts at questions of different datasets whose ids end in the same number"),
  trainerRatios: off.describe("ratios against the trainer's own log-probabilities, whatever distribution was sampled"),
};

type Settings<Fields extends z.ZodRawShape> = z.output<z.ZodObject<Fields>>;

/** What concerns an algorithm in the configuration of a run. */
export interface AlgorithmConfig {
  algorithm: Settings<typeof algorithmFields>;
  critic: Settings<typeof criticFields>;
  faithful: Settings<typeof faithfulFields>;
  rollout: { maxTokens: "auto" | number };
  train: { steps: number };
}

/** What a configuration chooses itself instead of leaving it to the name. */
export function overridesOf({ algorithm, rollout, faithful }: AlgorithmConfig): Partial<Choices> {
  const { clip, clipHigh, ...rest } = algorithm;
  const chosen = { ...rest, clipLow: clip, clipHigh: clipHigh === "auto" ? clip : clipHigh } satisfies {
    [Key in keyof Choices]?: Choices[Key] | "auto";
  };
  const overrides = Object.fromEntries(
    Object.entries(chosen).filter(([key, value]) => key in choices && value !== "auto"),
  ) as Partial<Choices>;
  // While it is `auto`, a run has not begun, and nothing is divided by it.
  const constantTokens = rollout.maxTokens === "auto" ? 1 : rollout.maxTokens;
  return { ...overrides, constantTokens, ...faithfulChoices(faithful) };
}

/** What the faithful mode chooses differently; nothing where it is off. */
function faithfulChoices(faithful: AlgorithmConfig["faithful"]): Partial<Choices> {
  return {
    ...(faithful.observations ? { observationsInAdvantage: true } : {}),
    ...(faithful.microBatchMean > 0
      ? { aggregation: "micro-batch-mean", microBatchRows: faithful.microBatchMean }
      : {}),
    ...(faithful.groupOfOne ? { groupOfOne: "raw" } : {}),
    ...(faithful.groupByIndex ? { groupByIndex: true } : {}),
    ...(faithful.trainerRatios ? { trainerRatios: true } : {}),
  };
}
