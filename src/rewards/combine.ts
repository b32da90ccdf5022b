/** @file Rewards by name, weighted sums of them, and sums that change in the course of training. */
import { nearest, UserError } from "../errors.js";
import type { Protocol } from "../prompts/protocol.js";
import type { Question, Trajectory } from "../types.js";
import { ours, squad, substringMatch } from "./answers.js";
import { textExactMatch, textFormatReward } from "./faithful.js";
import { formatReward, searchR1FormatReward } from "./format.js";
import {
  lengthCost,
  noAnswer,
  noSearch,
  overlong,
  repetitionCost,
  searchCost,
  type LengthOptions,
} from "./penalties.js";
import { checkedReward, type Reward, type RewardMoment } from "./reward.js";

/** A weighted sum and what it is made of. */
interface CombinedReward {
  total: number;
  /** Each part before its weight. */
  parts: Record<string, number>;
}

/** What some of the named rewards depend on. */
export interface RewardSettings {
  /** `faithful.textScoring`: `exact-match` and `search-r1-format` are the released scorers, which read the whole text; the others compare as SQuAD. */
  textScoring?: boolean;
  /** `rollout.maxTokens`, the limit of `overlong`. Default 512. */
  maxTokens?: number;
  /** Tokens before that limit over which `overlong` grows. Default a fifth of it. */
  overlongBuffer?: number;
  length?: LengthOptions;
  /** The reward behind the name `llm-judge`. Without it, a configuration cannot use that name. */
  judge?: Reward;
}

/** The rewards that a config can name. */
export function rewardsFor(protocol: Protocol, settings: RewardSettings = {}): Record<string, Reward> {
  const { textScoring = false, maxTokens = 512, overlongBuffer, length, judge } = settings;
  const by = textScoring ? squad : ours;
  return {
    "exact-match": textScoring ? textExactMatch : by.exactMatch,
    "em/squad": squad.exactMatch,
    "cover-match": by.coverMatch,
    "substring-match": substringMatch,
    f1: by.f1,
    format: formatReward(protocol),
    "format-without-think": formatReward(protocol, { thinkRequired: false }),
    "search-r1-format": textScoring ? textFormatReward() : searchR1FormatReward(protocol),
    retrieval: by.retrieval,
    "search-cost": searchCost({ isRight: by.exactMatch }),
    length: lengthCost(length),
    overlong: overlong({ most: maxTokens, buffer: overlongBuffer }),
    repetition: repetitionCost(),
    "no-answer": noAnswer,
    "no-search": noSearch,
    ...(judge === undefined ? {} : { "llm-judge": judge }),
  };
}

/** Sums rewards of one trajectory: at once when all of them are there at once, else when the last one has answered. */
export type CombinedScore = (
  question: Question,
  trajectory: Trajectory,
  moment?: RewardMoment,
) => CombinedReward | Promise<CombinedReward>;

/**
 * Σ weight · reward over the names given, for example `{ "exact-match": 1, "search-cost": 1 }`.
 * @throws UserError for no name at all, an unknown one (with the nearest known), or a weight that is no number.
 */
export function combineRewards(
  weights: Readonly<Record<string, number>>,
  available: Readonly<Record<string, Reward>>,
): CombinedScore {
  const parts = Object.entries(weights).map(([name, weight]) => {
    if (!Object.hasOwn(available, name)) throw unknownReward(name, Object.keys(available));
    if (!Number.isFinite(weight)) throw new UserError(`The weight of reward ${name} is ${weight}. Give it a number.`);
    return { name, weight, reward: checkedReward(name, available[name]) };
  });
  if (parts.length === 0) {
    throw new UserError(`No reward is named, so there is nothing to learn from. Name one of ${list(available)}.`);
  }
  const sum = (values: readonly number[]): CombinedReward => {
    const combined: CombinedReward = { total: 0, parts: {} };
    for (const [index, { name, weight }] of parts.entries()) {
      combined.parts[name] = values[index];
      combined.total += weight * values[index];
    }
    return combined;
  };
  return (question, trajectory, moment) => {
    const values = parts.map(({ reward }) => reward(question, trajectory, moment));
    if (values.every((value) => typeof value === "number")) return sum(values);
    return Promise.all(values.map((value) => Promise.resolve(value))).then(sum);
  };
}

/** From which step on which weights hold. */
export interface RewardStage {
  /** Steps completed before the first one of the stage. */
  from: number;
  weights: Readonly<Record<string, number>>;
}

/** The stage of a step: the last one that has begun. Without a step (an evaluation) it is the last of all. */
export function stageAt(stages: readonly RewardStage[], step: number | undefined): RewardStage {
  if (step === undefined) return stages[stages.length - 1];
  return stages.findLast(({ from }) => from <= step) ?? stages[0];
}

/**
 * The reward of a run whose weights change: a function of the step alone, so a run that is resumed goes on as it would have.
 * @param weights hold until the first stage begins
 * @throws UserError as `combineRewards` does, for every stage, and for stages that are not in the order of their steps
 */
export function stagedReward(
  weights: Readonly<Record<string, number>>,
  stages: readonly RewardStage[],
  available: Readonly<Record<string, Reward>>,
): Reward {
  const all = [...(stages[0]?.from === 0 ? [] : [{ from: 0, weights }]), ...stages];
  const unordered = all.find(({ from }, index) => index > 0 && from <= all[index - 1].from);
  if (unordered !== undefined) {
    throw new UserError(
      `reward.stages are out of order: the stage from step ${unordered.from} follows one that begins no earlier. Order them by "from", each later than the one before.`,
    );
  }
  const scores = new Map(all.map((stage) => [stage, combineRewards(stage.weights, available)]));
  const ordered = [...scores.keys()];
  return (question, trajectory, moment) => {
    const combined = (scores.get(stageAt(ordered, moment?.step)) as CombinedScore)(question, trajectory, moment);
    return combined instanceof Promise ? combined.then(({ total }) => total) : combined.total;
  };
}

function unknownReward(name: string, known: string[]): UserError {
  const near = nearest(name, known);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  const advice = name === "llm-judge" ? " llm-judge needs reward.judgeUrl and reward.judgeModel." : hint;
  return new UserError(`There is no reward named ${name}.${advice} Known: ${known.join(", ")}.`);
}

function list(available: Readonly<Record<string, unknown>>): string {
  return Object.keys(available).join(", ");
}
