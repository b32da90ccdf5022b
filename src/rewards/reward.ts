/** @file What a reward is: a function of a question and an attempt at it. */
import { UserError } from "../errors.js";
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

/**
 * The same reward, whose values are checked: what is no finite number would make every advantage of its group one.
 * @param name how a person knows the reward
 * @returns a reward that throws a UserError, or rejects with one, naming itself, the question and the value
 */
export function checkedReward<R extends Reward>(name: string, reward: R): R {
  const check = (value: unknown, question: Question): number => {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw new UserError(
      `The reward ${name} returned ${shown(value)} for question ${question.id}. A reward is one finite number per attempt; mend it, then start the same run again to continue.`,
    );
  };
  const checked = (question: Question, trajectory: Trajectory, moment?: RewardMoment): number | Promise<number> => {
    const value: unknown = reward(question, trajectory, moment);
    return value instanceof Promise ? value.then((late) => check(late, question)) : check(value, question);
  };
  return checked as R;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "number" || value === undefined || value === null
    ? String(value)
    : `a value of type ${typeof value}`;
}
