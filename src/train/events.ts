/** @file What a run tells whoever watches it. */
import type { Evaluation } from "../eval/evaluation.js";
import type { Group } from "../types.js";
import type { BestScore } from "./checkpoint.js";
import type { MetricValues } from "./metrics.js";
import type { TrainResult } from "./result.js";
import type { WatchState } from "./watch/watch.js";
import type { MemoryPlan } from "../contracts/policy.js";

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
  /** Something to know that does not stop the run. */
  | { kind: "warning"; message: string }
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
  | { kind: "best"; best: BestScore; folder: string }
  | { kind: "checkpoint"; step: number; folder: string }
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
