/** @file The parts of a run that can be handed in ready-made: then the keys of the configuration that describe them are not looked at. */
import type { Algorithm } from "../algorithms/algorithm.js";
import { makeAlgorithm } from "../algorithms/make.js";
import { overridesOf } from "../algorithms/settings.js";
import type { Policy } from "../contracts/policy.js";
import type { Reward, RewardFunction } from "../rewards/reward.js";
import type { Environment } from "../rollout/environment.js";
import type { SearchEngine } from "../search/engine.js";
import type { Question } from "../types.js";
import type { Config } from "./config/config.js";

/** Parts made by the caller. Their `close` stays the caller's business. */
export interface GivenParts {
  policy?: Policy;
  search?: SearchEngine;
  /** Takes the place of the whole turn loop; `search` and the keys of `rollout` are then not used. */
  environment?: Environment;
  /** Takes the place of the whole group `reward`. May be asynchronous; it is told the step. */
  reward?: Reward;
  /** What evaluations count as right. Default: exact match, under `faithful.textScoring` by SQuAD's normalisation. */
  exactMatch?: RewardFunction;
  algorithm?: Algorithm;
  questions?: readonly Question[];
  /** Default when `questions` are given: a tenth of them, set aside. */
  validation?: readonly Question[];
  /** Default when `questions` are given: a fifth of them, set aside. */
  test?: readonly Question[];
}

/** Parts that were opened here are closed by `close`. */
export interface Opened<T> {
  value: T;
  close(): Promise<void>;
}

/** The algorithm of a configuration: what its name chooses, and what is chosen differently. */
export function algorithmOf(config: Config): Algorithm {
  return makeAlgorithm(config.algorithm.name, overridesOf(config));
}
