/** @file What the parts of the loop share: the configuration, the parts it was built into, the folder and the watcher. */
import type { Algorithm } from "../algorithms/algorithm.js";
import type { Task } from "../eval/run-evaluation.js";
import type { Policy } from "../contracts/policy.js";
import type { Question } from "../types.js";
import type { Config } from "./config/config.js";
import type { OnEvent } from "./events.js";

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
