/** @file The learning rate as a pure function of the step: nothing to save, nothing to restore. */

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
