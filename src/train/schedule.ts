/** @file A run's course as pure functions of the step: its learning rate, its length, the time left. Nothing to save, nothing to restore. */
import { z } from "zod";

const share = z.number().min(0).max(1);
/** Of a running mean: 1 would never forget its zero at the start. */
const decay = z.number().min(0).lt(1);
const positive = z.number().positive();

/** The group `optimizer` of a configuration: AdamW, and its learning rate over the steps. */
export const optimizerFields = {
  learningRate: positive.default(5e-4).describe("peak learning rate of AdamW"),
  schedule: z
    .enum(["constant", "linear", "cosine"])
    .default("linear")
    .describe("course of the learning rate after warm-up"),
  finalShare: share.default(0.1).describe("where linear and cosine end, as a share of the peak"),
  warmupSteps: z.int().nonnegative().default(3).describe("steps of linear warm-up"),
  beta1: decay.default(0.9).describe("AdamW: decay of the gradient's mean"),
  beta2: decay.default(0.95).describe("AdamW: decay of the gradient's square"),
  epsilon: positive.default(1e-8).describe("AdamW: added to the denominator"),
  weightDecay: z.number().nonnegative().default(0).describe("AdamW: decoupled decay of matrices"),
  maxGradNorm: z.number().nonnegative().default(1).describe("gradients are scaled down to this norm; 0: never"),
};

/** The switches of `faithful` that concern a run's course. */
export const faithfulScheduleFields = {
  firstStepAtZero: z
    .boolean()
    .default(false)
    .describe("learning-rate warm-up begins at 0, so that the first step changes nothing"),
  oneStepLess: z.boolean().default(false).describe("train.steps counts to one less: the last step is not taken"),
};

export interface Schedule extends Pick<
  z.output<z.ZodObject<typeof optimizerFields>>,
  "learningRate" | "schedule" | "warmupSteps" | "finalShare"
> {
  /** Faithful mode: warm-up begins at 0. Default false: the first step already moves. */
  fromZero?: boolean;
}

/** The settings that end a run. */
interface Limits {
  train: { steps: number; stopAfterSeconds: number };
  faithful: { oneStepLess: boolean };
}

/** Learning rate of step `step` (from 0) of `steps`. The last step runs at `finalShare` of the peak. */
export function learningRateAt(step: number, steps: number, options: Schedule): number {
  const { learningRate, schedule, finalShare, fromZero = false } = options;
  const warmupSteps = Math.min(options.warmupSteps, steps);
  if (step < warmupSteps) return (learningRate * (step + (fromZero ? 0 : 1))) / warmupSteps;
  if (schedule === "constant") return learningRate;
  const decaySteps = Math.max(1, steps - 1 - warmupSteps);
  const progress = Math.min(1, (step - warmupSteps) / decaySteps);
  const remaining = schedule === "linear" ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return learningRate * (finalShare + (1 - finalShare) * remaining);
}

/** Steps to take. The original's loop ended before its last one. */
export function stepsToTake({ train, faithful }: Limits): number {
  return faithful.oneStepLess ? Math.max(0, train.steps - 1) : train.steps;
}

/** Whether `train.stopAfterSeconds` have been spent on training. */
export function isOutOfTime({ train }: Pick<Limits, "train">, { seconds }: { seconds: number }): boolean {
  return train.stopAfterSeconds > 0 && seconds >= train.stopAfterSeconds;
}

/** Seconds until step `steps`, from the mean step so far; the time limit may end the run earlier. */
export function secondsLeft(
  { train }: Pick<Limits, "train">,
  steps: number,
  { step, seconds }: { step: number; seconds: number },
): number {
  const left = (seconds / step) * (steps - step);
  return train.stopAfterSeconds > 0 ? Math.max(0, Math.min(left, train.stopAfterSeconds - seconds)) : left;
}
