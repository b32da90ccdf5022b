/** @file A run's course as pure functions of the step: its learning rate, its length, the time left. Nothing to save, nothing to restore. */
import type { TrainState } from "./checkpoint.js";
import type { Config } from "./config/config.js";

export interface Schedule {
  /** Peak. */
  learningRate: number;
  schedule: "constant" | "linear" | "cosine";
  /** Steps of linear warm-up, at most all of them; the first step already moves. */
  warmupSteps: number;
  /** Faithful mode: warm-up begins at 0, so the first step does not move. Default false. */
  fromZero?: boolean;
  /** Where linear and cosine end, as a share of the peak. */
  finalShare: number;
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
export function stepsToTake({ train, faithful }: Pick<Config, "train" | "faithful">): number {
  return faithful.oneStepLess ? Math.max(0, train.steps - 1) : train.steps;
}

/** Whether `train.stopAfterSeconds` have been spent on training. */
export function isOutOfTime({ train }: Pick<Config, "train">, { seconds }: Pick<TrainState, "seconds">): boolean {
  return train.stopAfterSeconds > 0 && seconds >= train.stopAfterSeconds;
}

/** Seconds until step `steps`, from the mean step so far; the time limit may end the run earlier. */
export function secondsLeft(
  { train }: Pick<Config, "train">,
  steps: number,
  { step, seconds }: Pick<TrainState, "step" | "seconds">,
): number {
  const left = (seconds / step) * (steps - step);
  return train.stopAfterSeconds > 0 ? Math.max(0, Math.min(left, train.stopAfterSeconds - seconds)) : left;
}
