/**
 * @file The skeleton of every run: steps, each settled (evaluated where it is time, its line written), checkpoints between
 * them, and an orderly end when the signal aborts. What a step is comes from the caller.
 */
import type { Policy } from "../contracts/policy.js";
import { findCheckpoint, loadCheckpoint, saveCheckpoint, type TrainState } from "./checkpoint.js";
import type { Config } from "./config/config.js";
import { truncateMetrics } from "./metrics-file.js";
import type { MetricValues } from "./metrics.js";

/** Where a new run begins: before its first step, with the evaluation of the untrained policy still to come. */
export const startState: TrainState = { step: 0, drawn: 0, seconds: 0, algorithm: null, best: null, pending: {} };

/** What of the folder's checkpoints is told to whoever watches. */
export type CheckpointEvent =
  { kind: "checkpoint"; step: number; folder: string } | { kind: "warning"; message: string };

export interface Course {
  /** The run folder. */
  folder: string;
  policy: Policy;
  config: Config;
  emit: (event: CheckpointEvent) => void;
  signal?: AbortSignal;
  isLast(state: TrainState): boolean;
  /** One step; its metrics stay pending until it is settled. */
  takeStep(state: TrainState): Promise<TrainState>;
  /** Evaluates if it is time to, and writes the step's line. Leaves nothing pending. */
  settle(state: TrainState, pending: MetricValues): Promise<TrainState>;
}

/**
 * Takes steps from `state` to the last. When the signal aborts, the step under way is abandoned (or finished, if its
 * update has begun) and what is complete is saved.
 */
export async function runSteps(course: Course, start: TrainState): Promise<TrainState> {
  const { signal, config } = course;
  let state = start;
  let saved = state.step;
  try {
    for (;;) {
      const rollbacks = state.watch?.rollbacks.length ?? 0;
      if (state.pending !== null) state = await course.settle(state, state.pending);
      const ended = course.isLast(state);
      // What a roll-back put back may be overwritten later: the checkpoint keeps it.
      const isRolledBack = (state.watch?.rollbacks.length ?? 0) !== rollbacks;
      if (isRolledBack || (state.step !== saved && (ended || state.step % config.train.checkpointEvery === 0))) {
        await checkpoint(course, state);
        saved = state.step;
      }
      if (ended) return state;
      state = await course.takeStep(state);
    }
  } catch (error) {
    if (!isAbortOf(signal, error)) throw error;
    if (state.step !== saved) await checkpoint(course, state);
    return state;
  }
}

async function checkpoint({ folder: run, policy, config, emit }: Course, state: TrainState): Promise<void> {
  const warn = (message: string): void => emit({ kind: "warning", message });
  const folder = await saveCheckpoint(run, policy, state, { keep: config.train.keepCheckpoints, warn });
  emit({ kind: "checkpoint", step: state.step, folder });
}

/** The newest whole checkpoint, loaded; files that speak of later steps are cut back to it. */
export async function restore({
  folder,
  policy,
  emit,
}: Pick<Course, "folder" | "policy" | "emit">): Promise<{ state: TrainState; resumedFrom: number | null }> {
  const checkpoint = await findCheckpoint(folder, (message) => emit({ kind: "warning", message }));
  if (checkpoint === null) {
    await truncateMetrics(folder, -1);
    return { state: startState, resumedFrom: null };
  }
  const { state } = checkpoint;
  await loadCheckpoint(checkpoint, policy);
  await truncateMetrics(folder, state.pending === null ? state.step : state.step - 1);
  return { state, resumedFrom: state.step };
}

/** Whether an error is nothing but the signal's abort. */
export function isAbortOf(signal: AbortSignal | undefined, error: unknown): boolean {
  return signal?.aborted === true && error === signal.reason;
}

/** Steps to take. The original's loop ended before its last one. */
export function stepsToTake({ train, faithful }: Config): number {
  return faithful.oneStepLess ? Math.max(0, train.steps - 1) : train.steps;
}

/** Whether `train.stopAfterSeconds` have been spent on training. */
export function isOutOfTime({ train }: Config, state: TrainState): boolean {
  return train.stopAfterSeconds > 0 && state.seconds >= train.stopAfterSeconds;
}

/** From the mean step so far; the time limit may end it earlier. */
export function secondsLeft({ train }: Config, steps: number, step: number, seconds: number): number {
  const left = (seconds / step) * (steps - step);
  return train.stopAfterSeconds > 0 ? Math.max(0, Math.min(left, train.stopAfterSeconds - seconds)) : left;
}
