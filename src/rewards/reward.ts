/** @file What a reward is: a function of a question and an attempt at it. */
import type { Question, Trajectory } from "../types.js";

/** A reward that is computed: pure and at once. Scores what the policy wrote, never the prompt or an observation (both hold answer tags of their own). */
export type RewardFunction = (question: Question, trajectory: Trajectory) => number;

/** When, and until when, a trajectory is scored. */
export interface RewardMoment {
  /** Steps completed before the one that the trajectory belongs to; absent in evaluations, which are scored as at the end. */
  step?: number;
  /** Ends a judgement under way; the reward then rejects with its reason. */
  signal?: AbortSignal;
}

/** Any reward, including one that asks a service (a judge). Every `RewardFunction` is one. */
export type Reward = (question: Question, trajectory: Trajectory, moment?: RewardMoment) => number | Promise<number>;
