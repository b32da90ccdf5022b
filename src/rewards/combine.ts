/** @file Rewards by name, and weighted sums of them. */
import { nearest, UserError } from "../errors.js";
import type { Protocol } from "../prompts/protocol.js";
import type { Question, Trajectory } from "../types.js";
import { exactMatch } from "./exact-match.js";
import { formatReward, searchR1FormatReward } from "./format.js";
import type { RewardFunction } from "./reward.js";
import { searchCost } from "./search-cost.js";

/** A weighted sum and what it is made of. */
export interface CombinedReward {
  total: number;
  /** Each part before its weight. */
  parts: Record<string, number>;
}

/** The rewards that a config can name. */
export function rewardsFor(protocol: Protocol): Record<string, RewardFunction> {
  return {
    "exact-match": exactMatch,
    format: formatReward(protocol),
    "format-without-think": formatReward(protocol, { thinkRequired: false }),
    "search-r1-format": searchR1FormatReward(protocol),
    "search-cost": searchCost(),
  };
}

/**
 * Σ weight · reward over the names given, for example `{ "exact-match": 1, "search-cost": 1 }`.
 * @throws UserError for no name at all, an unknown one (with the nearest known), or a weight that is no number.
 */
export function combineRewards(
  weights: Readonly<Record<string, number>>,
  available: Readonly<Record<string, RewardFunction>>,
): (question: Question, trajectory: Trajectory) => CombinedReward {
  const parts = Object.entries(weights).map(([name, weight]) => {
    if (!Object.hasOwn(available, name)) throw unknownReward(name, Object.keys(available));
    if (!Number.isFinite(weight)) throw new UserError(`The weight of reward ${name} is ${weight}. Give it a number.`);
    return { name, weight, reward: available[name] };
  });
  if (parts.length === 0) {
    throw new UserError(`No reward is named, so there is nothing to learn from. Name one of ${list(available)}.`);
  }
  return (question, trajectory) => {
    const combined: CombinedReward = { total: 0, parts: {} };
    for (const { name, weight, reward } of parts) {
      const value = reward(question, trajectory);
      combined.parts[name] = value;
      combined.total += weight * value;
    }
    return combined;
  };
}

function unknownReward(name: string, known: string[]): UserError {
  const near = nearest(name, known);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  return new UserError(`There is no reward named ${name}.${hint} Known: ${known.join(", ")}.`);
}

function list(available: Readonly<Record<string, RewardFunction>>): string {
  return Object.keys(available).join(", ");
}
