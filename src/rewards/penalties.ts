/** @file Prices of what a policy should not do, each 0 or below: weights make them as large as they should be. */
import type { Question, Trajectory } from "../types.js";
import { exactMatch } from "./answers.js";
import { plainWords } from "./normalise.js";
import type { RewardFunction } from "./reward.js";
import { rewardDefaults } from "./settings.js";

/** Tokens that the policy wrote. */
function policyTokens({ segments }: Trajectory): number {
  let tokens = 0;
  for (const { role, tokens_T } of segments) if (role === "policy") tokens += tokens_T.length;
  return tokens;
}

/** −1 without an answer, else 0. An action penalty of arXiv:2602.19526, for rewards such as F1 under which silence is the safest answer. */
export const noAnswer: RewardFunction = (_question, { answer }) => (answer === null ? -1 : 0);

/** −1 when nothing was searched for, else 0. The other action penalty; it is wrong wherever the model may know the answer. */
export const noSearch: RewardFunction = (_question, { searches }) => (searches.length === 0 ? -1 : 0);

export interface LengthOptions {
  /** Tokens of the policy that are free. Default: that of `reward.lengthBudget`. */
  budget?: number;
  /** Price of each further token. Default: that of `reward.lengthPrice`. */
  perToken?: number;
  /** Most that one trajectory pays; below 1, a right answer of any length beats a wrong one. Default 0.3. */
  most?: number;
}

/** Minus the price of the policy's tokens beyond a budget; searches and passages are free. */
export function lengthCost({
  budget = rewardDefaults.lengthBudget,
  perToken = rewardDefaults.lengthPrice,
  most = 0.3,
}: LengthOptions = {}): RewardFunction {
  return (_question, trajectory) => {
    const over = policyTokens(trajectory) - budget;
    return over <= 0 ? 0 : -Math.min(most, over * perToken);
  };
}

/**
 * DAPO's soft overlong punishment (arXiv:2503.14476, eq. 13), in [−1, 0]: 0 up to `most − buffer` tokens, then falling in a straight line to −1
 * at `most`, and −1 beyond.
 */
export function softOverlong(length: number, most: number, buffer: number): number {
  const free = most - buffer;
  if (length <= free) return 0;
  return length <= most ? (free - length) / buffer : -1;
}

/**
 * `softOverlong` of a trajectory.
 *
 * 1. Its length is that of the row, as `rollout.maxTokens` counts it: that is the limit which it runs into, and in a conversation with searches
 *    the policy spends it on passages too.
 * 2. A trajectory that ran out of tokens is beyond the limit, whichever limit that was.
 * @param options.most `rollout.maxTokens`
 * @param options.buffer tokens before the limit over which the punishment grows; DAPO has 4,096 of 20,480
 */
export function overlong({ most, buffer = Math.ceil(most / 5) }: { most: number; buffer?: number }): RewardFunction {
  return (_question, { segments, finishReason }) => {
    if (finishReason === "out-of-tokens") return -1;
    const length = segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);
    return softOverlong(length, most, buffer);
  };
}

/**
 * Minus the share of repeated runs of `span` words among all runs in the policy's turns, in (−1, 0]; 0 for turns shorter than that. Runs do not
 * reach from one turn into the next, but one that an earlier turn held is a repetition.
 */
export function repetitionCost({ span = 4 }: { span?: number } = {}): RewardFunction {
  return (_question: Question, { segments, texts }: Trajectory) => {
    const seen = new Set<string>();
    let runs = 0;
    for (const [index, text] of texts.entries()) {
      if (segments[index].role !== "policy") continue;
      const words = plainWords(text);
      for (let start = 0; start + span <= words.length; start++, runs++)
        seen.add(words.slice(start, start + span).join(" "));
    }
    return runs === seen.size ? 0 : seen.size / runs - 1;
  };
}

interface SearchCostOptions {
  /** Price of each executed search. Default 0.02. */
  perSearch?: number;
  /** Extra price of a query asked before in the same trajectory. Default 0.02. */
  perRepeat?: number;
  /** Most that one trajectory pays; below 1, a right answer always beats a wrong one. Default 0.3. */
  most?: number;
  /** What counts as right. Default exact match. */
  isRight?: RewardFunction;
}

/**
 * Minus the price of the searches of a right trajectory, so that of two right ones the shorter is preferred; 0 for a wrong one.
 *
 * Only right answers pay: a wrong trajectory that searched less must never beat one that searched more, or the policy learns not to search at
 * all. It looks at the trajectory alone, not at how many searches the question needs: a real task does not know that.
 */
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
