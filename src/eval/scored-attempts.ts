/** @file Attempts with their rewards: each is scored as soon as it has ended, while others are still under way. */
import type { Trajectory } from "../types.js";
import { attemptAll } from "../rollout/environment.js";

/** An attempt and what it was worth. */
export interface ScoredAttempt {
  trajectory: Trajectory;
  reward: number;
}

/**
 * Like `attemptAll`; a reward that has to be waited for (a judge's) keeps nobody from attempting.
 * @throws what `attempt` or `score` threw, or the signal's reason
 */
export async function attemptAndScore<Item>(
  items: readonly Item[],
  attempt: (item: Item, signal: AbortSignal) => Promise<Trajectory>,
  score: (item: Item, trajectory: Trajectory, signal: AbortSignal) => number | Promise<number>,
  options: Parameters<typeof attemptAll>[2],
): Promise<ScoredAttempt[]> {
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const attempts = await attemptAll(
    items,
    async (item, inner) => {
      const trajectory = await attempt(item, inner);
      const reward = Promise.resolve(score(item, trajectory, inner));
      // A judge that fails for good ends the attempts that are still under way.
      reward.catch((error: unknown) => failed.abort(error));
      return { trajectory, reward };
    },
    { ...options, signal },
  );
  return Promise.all(attempts.map(async ({ trajectory, reward }) => ({ trajectory, reward: await reward })));
}
