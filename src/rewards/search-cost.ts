/**
 * @file A small price of searching, so that of two right trajectories the shorter one is preferred.
 *
 * Only right answers pay: a wrong trajectory that searched less must never beat one that searched more, or the policy
 * learns not to search at all. It looks at the trajectory alone, not at how many searches the question needs: a real
 * task does not know that.
 */
import type { Trajectory } from "../types.js";
import { exactMatch } from "./exact-match.js";
import type { RewardFunction } from "./reward.js";

export interface SearchCostOptions {
  /** Price of each executed search. Default 0.02. */
  perSearch?: number;
  /** Extra price of a query asked before in the same trajectory. Default 0.02. */
  perRepeat?: number;
  /** Most that one trajectory pays; below 1, a right answer always beats a wrong one. Default 0.3. */
  most?: number;
  /** What counts as right. Default exact match. */
  isRight?: RewardFunction;
}

/** Minus the price of the searches of a right trajectory; 0 for a wrong one. */
export function searchCost(options: SearchCostOptions = {}): RewardFunction {
  const { perSearch = 0.02, perRepeat = 0.02, most = 0.3, isRight = exactMatch } = options;
  return (question, trajectory) => {
    if (isRight(question, trajectory) <= 0) return 0;
    const price = perSearch * trajectory.searches.length + perRepeat * repeatedQueries(trajectory);
    return price === 0 ? 0 : -Math.min(most, price);
  };
}

/** Searches whose query, but for case and white space, was asked before. */
export function repeatedQueries(trajectory: Trajectory): number {
  const queries = trajectory.searches.map(({ query }) => query.trim().toLowerCase().split(/\s+/u).join(" "));
  return queries.length - new Set(queries).size;
}
