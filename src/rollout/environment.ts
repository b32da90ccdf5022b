/**
 * @file An environment lets a policy attempt one question. Search-R1's is made by `searchEnvironment`; any function of
 * the same type can take its place, in training and in evaluation alike.
 */
import { linkedController, mapConcurrent } from "../async.js";
import type { Policy } from "../contracts/policy.js";
import type { OnAttemptEvent } from "./attempt-event.js";
import { rollout, type RolloutOptions } from "./rollout.js";
import type { Question, Trajectory } from "../types.js";

/** How one attempt is made. */
export interface Attempt {
  policy: Policy;
  /** 0 is greedy. */
  temperature: number;
  /** Nucleus that is sampled from. Default 1: everything. */
  topP?: number;
  /** With the question and the policy it determines the trajectory. */
  seed: number;
  /** Ends the attempt early, as `cancelled`. */
  signal?: AbortSignal;
  /** Is told what happens, in order. Default: nobody. An environment of your own need not tell. */
  onEvent?: OnAttemptEvent;
}

export type Environment = (question: Question, attempt: Attempt) => Promise<Trajectory>;

/** The turn loop of Search-R1 over a search engine, a protocol and budgets. */
export function searchEnvironment(options: Omit<RolloutOptions, keyof Attempt>): Environment {
  return (question, attempt) => rollout(question, { ...options, ...attempt });
}

/** An attempt and what was made of it: its reward, or everything that was measured of it. */
interface ScoredAttempt<Score> {
  trajectory: Trajectory;
  score: Score;
}

/**
 * Attempts all items, at most `concurrency` at once, and keeps their order. Each is scored as soon as it has ended; a score that has to be
 * waited for (a judge's) holds up no attempt. The first failure cancels the attempts under way and waits for them.
 * @throws what `attempt` or `score` threw, or the signal's reason: a cancelled attempt has no result
 */
export async function attemptAndScore<Item, Score>(
  items: readonly Item[],
  attempt: (item: Item, signal: AbortSignal) => Promise<Trajectory>,
  score: (item: Item, trajectory: Trajectory, signal: AbortSignal) => Score | Promise<Score>,
  options: { concurrency: number; signal?: AbortSignal; onDone?: (done: number) => void },
): Promise<ScoredAttempt<Score>[]> {
  // Scores still listen when all attempts have ended.
  const { controller, release } = linkedController(options.signal);
  const { signal } = controller;
  let done = 0;
  const attemptOne = async (item: Item, inner: AbortSignal) => {
    const trajectory = await attempt(item, inner);
    const scored = Promise.resolve(score(item, trajectory, signal));
    // A judge that fails for good ends the attempts that are still under way.
    scored.catch((error: unknown) => controller.abort(error));
    options.onDone?.(++done);
    return { trajectory, scored };
  };
  try {
    const attempts = await mapConcurrent(items, options.concurrency, attemptOne, { signal });
    return await Promise.all(attempts.map(async ({ trajectory, scored }) => ({ trajectory, score: await scored })));
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    release();
  }
}
