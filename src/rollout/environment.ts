/**
 * @file An environment lets a policy attempt one question. Search-R1's is made by `searchEnvironment`; any function of
 * the same type can take its place, in training and in evaluation alike.
 */
import { setMaxListeners } from "node:events";
import type { Policy } from "../contracts/policy.js";
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
}

export type Environment = (question: Question, attempt: Attempt) => Promise<Trajectory>;

/** The turn loop of Search-R1 over a search engine, a protocol and budgets. */
export function searchEnvironment(options: Omit<RolloutOptions, keyof Attempt>): Environment {
  return (question, attempt) => rollout(question, { ...options, ...attempt });
}

/**
 * Runs `attempt` over all items, at most `concurrency` at a time, and keeps their order. The first failure cancels
 * the others and waits for them.
 * @throws what `attempt` threw, or the signal's reason when it was aborted: a cancelled attempt is nobody's result
 */
export async function attemptAll<Item, Result>(
  items: readonly Item[],
  attempt: (item: Item, signal: AbortSignal) => Promise<Result>,
  options: { concurrency: number; signal?: AbortSignal; onDone?: (done: number) => void },
): Promise<Result[]> {
  const failure = new AbortController();
  const signal = options.signal === undefined ? failure.signal : AbortSignal.any([options.signal, failure.signal]);
  // Every attempt under way listens; Node warns of a leak from the eleventh on.
  setMaxListeners(0, signal);
  const results = new Array<Result>(items.length);
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (next < items.length && !signal.aborted) {
      const index = next++;
      try {
        results[index] = await attempt(items[index], signal);
        options.onDone?.(++done);
      } catch (error) {
        failure.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.concurrency, items.length) }, work));
  options.signal?.throwIfAborted();
  failure.signal.throwIfAborted();
  return results;
}
