/**
 * @file From rewards to an advantage for every token: the estimators, and their table by name.
 *
 * A trajectory's reward stands on its last position; a KL in the reward is subtracted where the token carries loss. `group`, `rloo` and
 * `reinforce` see the sum of a trajectory, and all its positions get one advantage. `reinforce++` and `gae` see the rewards of tokens, which
 * pass backwards over the compressed positions (axis `_N`, see `positions.ts`). Either way a token before a search receives the final reward.
 */
import type { Row } from "./algorithm.js";
import type { Choices } from "./choices.js";
import { compress, spread, type Positions } from "./positions.js";

/** The advantages of one group, `[G]`. */
interface GroupAdvantages {
  advantages_G: number[];
  /** All rewards were equal: nothing to learn from this group. */
  zeroVariance: boolean;
  /** Why the advantages are 0, for logs. */
  explanation?: string;
}

/**
 * Group-relative advantages (GRPO, arXiv:2402.03300, §4.1.2): A_i = (r_i − mean(r)) / (std(r) + ε). They sum to 0.
 *
 * 1. The standard deviation is the sample one (n − 1), as in Search-R1's code; the population one and none at all (Dr. GRPO,
 *    arXiv:2503.20783) are options.
 * 2. A group whose rewards are all equal gets exact zeros, not rounding errors divided by ε.
 * 3. A group of one gets advantage 0 and says why. Search-R1's code kept the raw reward there, which is REINFORCE without a baseline:
 *    `groupOfOne: "raw"`.
 */
export function groupAdvantages(
  rewards_G: readonly number[],
  {
    std = "sample",
    groupOfOne = "zero",
    epsilon = 1e-6,
  }: Partial<Pick<Choices, "std" | "groupOfOne">> & { epsilon?: number } = {},
): GroupAdvantages {
  const size = rewards_G.length;
  if (size === 1) {
    if (groupOfOne === "raw") return { advantages_G: [...rewards_G], zeroVariance: false };
    const explanation =
      "the group has one trajectory: its reward is its own mean, so the advantage is 0; use groups of two or more, or the algorithm reinforce";
    return { advantages_G: [0], zeroVariance: true, explanation };
  }
  if (rewards_G.every((reward) => reward === rewards_G[0])) {
    const explanation = `all ${size} rewards are equal`;
    return { advantages_G: rewards_G.map(() => 0), zeroVariance: true, explanation };
  }
  const mean = rewards_G.reduce((sum, reward) => sum + reward, 0) / size;
  const centred_G = rewards_G.map((reward) => reward - mean);
  if (std === "none") return { advantages_G: centred_G, zeroVariance: false };
  const squares = centred_G.reduce((sum, value) => sum + value * value, 0);
  const deviation = Math.sqrt(squares / (std === "sample" ? size - 1 : size));
  return { advantages_G: centred_G.map((value) => value / (deviation + epsilon)), zeroVariance: false };
}

/**
 * Leave-one-out advantages (RLOO, arXiv:2402.14740, §2.3; Kool et al., 2019): A_i = r_i − mean of the group's other rewards. They sum to 0.
 *
 * 1. Computed as (r_i − mean) · n/(n − 1), which is the same.
 * 2. A group of one has no others: advantage 0, explained like GRPO's.
 */
export function rlooAdvantages(rewards_G: readonly number[]): GroupAdvantages {
  const centred = groupAdvantages(rewards_G, { std: "none" });
  if (centred.zeroVariance) return centred;
  const scale = rewards_G.length / (rewards_G.length - 1);
  return { ...centred, advantages_G: centred.advantages_G.map((value) => value * scale) };
}

/** One advantage per row of a batch. */
interface Compared {
  advantages_D: number[];
  /** Whether all rewards of the row's group were equal. */
  zeroVariance_D: boolean[];
  zeroVarianceGroups: number;
  /** Why groups had no signal, each reason once. */
  explanations: string[];
}

/** Judges each group by itself. Rows of equal number in `groups_D` are one group, wherever they stand. */
function compareGroups(
  rewards_D: readonly number[],
  groups_D: readonly number[],
  judge: (rewards_G: readonly number[]) => GroupAdvantages,
): Compared {
  const members = new Map<number, number[]>();
  groups_D.forEach((group, d) => {
    const group_G = members.get(group);
    if (group_G) group_G.push(d);
    else members.set(group, [d]);
  });
  const advantages_D = rewards_D.map(() => 0);
  const zeroVariance_D = rewards_D.map(() => false);
  const explanations = new Set<string>();
  let zeroVarianceGroups = 0;
  for (const group_G of members.values()) {
    const { advantages_G, zeroVariance, explanation } = judge(group_G.map((d) => rewards_D[d]));
    group_G.forEach((d, member) => {
      advantages_D[d] = advantages_G[member];
      zeroVariance_D[d] = zeroVariance;
    });
    if (zeroVariance) zeroVarianceGroups++;
    if (explanation !== undefined) explanations.add(explanation);
  }
  return { advantages_D, zeroVariance_D, zeroVarianceGroups, explanations: [...explanations] };
}

/** Plain data, saved with the run; an empty state has seen nothing. */
interface BaselineState {
  /** Running mean of rewards; absent before the first batch. */
  baseline?: number;
}

/**
 * Advantages of REINFORCE (Williams, 1992): A = r − b. `groups_D` says which rows are attempts at the same question.
 *
 * 1. `running-mean`: b is the running mean of the rewards of earlier batches, so that it is independent of this one; in the first batch
 *    there is none and the raw reward is the advantage.
 * 2. `batch-mean`: b is the mean of this batch. It contains the trajectory itself, a bias of 1/n of its advantage.
 * 3. `group-mean`: b is the mean of the attempts at the same question, as in Dr. GRPO; a group of one gets 0 and says why.
 * 4. `none` keeps raw rewards (what Search-R1's code did for a group of one).
 * @returns the advantages, and the state for the next batch
 */
export function reinforceAdvantages(
  rewards_D: readonly number[],
  groups_D: readonly number[],
  state: BaselineState,
  { baseline = "running-mean", baselineDecay = 0.9 }: Partial<Pick<Choices, "baseline" | "baselineDecay">> = {},
): Compared & { state: BaselineState } {
  if (baseline === "group-mean") {
    return { ...compareGroups(rewards_D, groups_D, (rewards_G) => groupAdvantages(rewards_G, { std: "none" })), state };
  }
  const mean = rewards_D.reduce((sum, reward) => sum + reward, 0) / Math.max(1, rewards_D.length);
  const isRunning = baseline === "running-mean" && rewards_D.length > 0;
  const next = state.baseline === undefined ? mean : baselineDecay * state.baseline + (1 - baselineDecay) * mean;
  const subtracted = { "running-mean": state.baseline ?? 0, "batch-mean": mean, none: 0 }[baseline];
  return {
    advantages_D: rewards_D.map((reward) => reward - subtracted),
    zeroVariance_D: rewards_D.map(() => false),
    zeroVarianceGroups: 0,
    explanations: [],
    state: isRunning ? { baseline: next } : state,
  };
}

/**
 * Returns of one compressed sequence (REINFORCE++, arXiv:2501.03262, §3): G_n = r_n + γ·G_{n+1}. Observations are no steps: γ discounts from
 * one of the policy's tokens to its next.
 */
export function returnsToGo(rewards_N: Float64Array, gamma: number): Float64Array {
  const returns_N = new Float64Array(rewards_N.length);
  let next = 0;
  for (let n = rewards_N.length - 1; n >= 0; n--) {
    next = rewards_N[n] + gamma * next;
    returns_N[n] = next;
  }
  return returns_N;
}

/**
 * Generalised advantage estimation (arXiv:1506.02438, eq. 16) of one compressed sequence: δ_n = r_n + γ·V_{n+1} − V_n and
 * A_n = δ_n + γλ·A_{n+1}; returns, what the critic should have said, are A + V.
 *
 * 1. The value behind the last position is 0: an answer ends the episode, and so does running out of tokens.
 * 2. Observations are no steps: the value is carried across them. (The original's recursion ran through retrieved text and padding;
 *    `observationsInAdvantage` brings the first back, the second changes nothing at γ = λ = 1.)
 */
export function gae(
  rewards_N: Float64Array,
  values_N: Float64Array,
  { gamma, lambda }: { gamma: number; lambda: number },
): { advantages_N: Float64Array; returns_N: Float64Array } {
  const advantages_N = new Float64Array(rewards_N.length);
  const returns_N = new Float64Array(rewards_N.length);
  let nextValue = 0;
  let next = 0;
  for (let n = rewards_N.length - 1; n >= 0; n--) {
    next = rewards_N[n] + gamma * nextValue - values_N[n] + gamma * lambda * next;
    nextValue = values_N[n];
    advantages_N[n] = next;
    returns_N[n] = next + nextValue;
  }
  return { advantages_N, returns_N };
}

/**
 * Whitening: (x − mean) / √(var + 1e-8) over the tokens of a batch, with the unbiased variance, as in Search-R1's code. No padding and no
 * observation can enter the mean, because the values are compressed. A single value becomes 0, and so do equal ones, whose rounding errors
 * would be multiplied by 10⁴.
 */
export function whiten(values_N: Float64Array): Float64Array {
  const count = values_N.length;
  if (values_N.every((value) => value === values_N[0])) return new Float64Array(count);
  let mean = 0;
  for (let n = 0; n < count; n++) mean += values_N[n];
  mean /= Math.max(1, count);
  let squares = 0;
  for (let n = 0; n < count; n++) squares += (values_N[n] - mean) * (values_N[n] - mean);
  const scale = 1 / Math.sqrt(squares / Math.max(1, count - 1) + 1e-8);
  const whitened_N = new Float64Array(count);
  for (let n = 0; n < count; n++) whitened_N[n] = (values_N[n] - mean) * scale;
  return whitened_N;
}

/** What an estimator reads. */
interface EstimatorInput {
  rows: readonly Row[];
  positions: Positions;
  /** Subtracted from the reward of each position: β·KL; absent where there is none. */
  penalties_N?: Float64Array;
  state: BaselineState;
  choices: Choices;
}

/** What it says, before whitening. */
interface Estimate {
  advantages_N: Float64Array;
  returns_N?: Float64Array;
  /** V at the positions, where there is a critic. */
  values_N?: Float64Array;
  zeroVariance_D: boolean[];
  zeroVarianceGroups: number;
  explanations: string[];
  state: BaselineState;
}

type Estimator = (input: EstimatorInput) => Estimate;

const estimators: { [Name in Choices["advantage"]]: Estimator } = {
  group: (input) =>
    wholeTrajectories(input, (scores_D, groups_D) =>
      compareGroups(scores_D, groups_D, (scores_G) => groupAdvantages(scores_G, input.choices)),
    ),
  rloo: (input) => wholeTrajectories(input, (scores_D, groups_D) => compareGroups(scores_D, groups_D, rlooAdvantages)),
  reinforce: (input) => wholeTrajectories(input, (scores_D, groups_D) => centre(input, scores_D, groups_D)),
  "reinforce++": (input) => {
    const rewards_D = input.rows.map(({ reward }) => reward);
    const { advantages_D, zeroVariance_D, ...rest } = centre(input, rewards_D, groupsOf(input));
    const rewards_N = tokenRewards(input, advantages_D);
    const advantages_N = new Float64Array(rewards_N.length);
    forEachSequence(input.positions, (start, end) =>
      advantages_N.set(returnsToGo(rewards_N.subarray(start, end), input.choices.gamma), start),
    );
    // A KL in the reward teaches where rewards do not.
    return {
      ...rest,
      advantages_N,
      zeroVariance_D: zeroVariance_D.map((zero) => zero && input.penalties_N === undefined),
    };
  },
  gae: (input) => {
    const { rows, positions, choices } = input;
    const rewards_N = tokenRewards(
      input,
      rows.map(({ reward }) => reward),
    );
    const values_N = compress(
      rows.map(({ values_T }) => values_T as Float32Array),
      positions,
    );
    const advantages_N = new Float64Array(rewards_N.length);
    const returns_N = new Float64Array(rewards_N.length);
    forEachSequence(positions, (start, end) => {
      const result = gae(rewards_N.subarray(start, end), values_N.subarray(start, end), choices);
      advantages_N.set(result.advantages_N, start);
      returns_N.set(result.returns_N, start);
    });
    const zeroVariance_D = rows.map(() => false);
    return {
      advantages_N,
      returns_N,
      values_N,
      zeroVariance_D,
      zeroVarianceGroups: 0,
      explanations: [],
      state: input.state,
    };
  },
};

/** The advantages of a batch by the estimator that its choices name. */
export function estimate(input: EstimatorInput): Estimate {
  return estimators[input.choices.advantage](input);
}

function groupsOf({ rows }: EstimatorInput): number[] {
  return rows.map(({ group }) => group);
}

/** Rewards less the chosen baseline. */
function centre({ state, choices }: EstimatorInput, rewards_D: readonly number[], groups_D: readonly number[]) {
  return reinforceAdvantages(rewards_D, groups_D, state, choices);
}

/** One advantage per trajectory, from the sum of its rewards. */
function wholeTrajectories(
  input: EstimatorInput,
  judge: (scores_D: number[], groups_D: number[]) => Compared & { state?: BaselineState },
): Estimate {
  const { rows, positions, penalties_N } = input;
  const scores_D = rows.map(({ reward }) => reward);
  if (penalties_N !== undefined) {
    forEachSequence(positions, (start, end, d) => {
      for (let n = start; n < end; n++) scores_D[d] -= penalties_N[n];
    });
  }
  const { advantages_D, state = input.state, ...rest } = judge(scores_D, groupsOf(input));
  return { ...rest, state, advantages_N: spread(advantages_D, positions) };
}

/** The reward of each position: minus its penalty, and the trajectory's at the last. */
function tokenRewards({ positions, penalties_N }: EstimatorInput, rewards_D: readonly number[]): Float64Array {
  const rewards_N = new Float64Array(positions.at_N.length);
  if (penalties_N !== undefined) for (let n = 0; n < rewards_N.length; n++) rewards_N[n] = -penalties_N[n];
  forEachSequence(positions, (_, end, d) => {
    rewards_N[end - 1] += rewards_D[d];
  });
  return rewards_N;
}

/** Calls `visit` for every sequence that has positions. */
function forEachSequence({ starts_D }: Positions, visit: (start: number, end: number, d: number) => void): void {
  for (let d = 0; d + 1 < starts_D.length; d++) {
    if (starts_D[d + 1] > starts_D[d]) visit(starts_D[d], starts_D[d + 1], d);
  }
}
