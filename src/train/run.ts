/** @file A run: the configuration, the parts it was built into, its folder, and what it tells a watcher. */
import type { Algorithm } from "../algorithms/algorithm.js";
import type { MemoryPlan, Policy } from "../contracts/policy.js";
import type { Evaluation } from "../eval/evaluation.js";
import type { Task } from "../eval/run-evaluation.js";
import type { Group, Question } from "../types.js";
import type { CheckpointEvent } from "./checkpoint.js";
import type { Config } from "./config/config.js";
import type { MetricValues } from "./metrics.js";
import type { Notice } from "./notices.js";
import type { TrainResult } from "./result.js";
import type { WatchState } from "./watch/watch.js";

/** Everything a configuration is built into; each part can be given by the caller instead. */
export interface TrainParts {
  policy: Policy;
  task: Task;
  algorithm: Algorithm;
  questions: readonly Question[];
  /** Choose the checkpoint. May be empty: then the last one is kept. */
  validation: readonly Question[];
  /** Judge the result. May be empty. */
  test: readonly Question[];
}

export interface Run {
  config: Config;
  parts: TrainParts;
  /** The run folder. */
  folder: string;
  emit: OnEvent;
  signal?: AbortSignal;
}

export type TrainEvent =
  | {
      kind: "start";
      folder: string;
      steps: number;
      /** Steps completed by earlier starts of the same run; null for a new one. */
      resumedFrom: number | null;
      questions: { train: number; validation: number; test: number };
      /** What is expected, where the policy computes on this machine. */
      memory?: MemoryPlan;
    }
  /** Checkpoints. */
  | CheckpointEvent
  /** Something to know that does not stop the run. */
  | Notice
  /** Attempts of the current step's rollouts, or of an evaluation. */
  | { kind: "progress"; phase: Phase; step: number; done: number; total: number }
  | {
      kind: "step";
      /** Steps completed. */
      step: number;
      steps: number;
      metrics: MetricValues;
      groups: Group[];
      /** Estimate for the remaining steps, evaluations left out. */
      secondsLeft: number;
    }
  | { kind: "evaluation"; phase: Exclude<Phase, "rollout">; step: number; evaluation: Evaluation }
  /** The collapse watch has news: signals have come or gone, or it has acted. */
  | ({ kind: "watch"; step: number; messages: string[]; rollbacks: number } & Pick<
      WatchState,
      "open" | "learningRateScale"
    >)
  /** Stopped by the signal; the same command continues it. */
  | { kind: "interrupted"; step: number; folder: string; message: string }
  | { kind: "end"; result: TrainResult };

/** What is being attempted: training questions, validation questions, or test questions before and after training. */
export type Phase = "rollout" | "validation" | "before" | "after";

export type OnEvent = (event: TrainEvent) => void;

/** Whether an error is nothing but the signal's abort. */
export function isAbortOf(signal: AbortSignal | undefined, error: unknown): boolean {
  return signal?.aborted === true && error === signal.reason;
}
