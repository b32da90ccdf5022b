/**
 * @file From rewards to an advantage for every token, by the estimator that was chosen.
 *
 * A trajectory's reward stands on its last position; a KL in the reward is subtracted where the token carries loss. `group`, `rloo` and
 * `reinforce` see the sum of a trajectory, and all its positions get one advantage. `reinforce++` and `gae` see the rewards of tokens, which
 * pass backwards over the compressed positions. Either way a token before a search receives the final reward.
 */
import type { Row } from "../algorithm.js";
import type { Choices } from "../choices.js";
import { compareGroups, type Compared } from "./compare.js";
import { gae } from "./gae.js";
import { groupAdvantages } from "./group.js";
import { compress, spread, type Positions } from "./positions.js";
import { reinforceAdvantages, type BaselineState } from "./reinforce.js";
import { returnsToGo } from "./returns.js";
import { rlooAdvantages } from "./rloo.js";

/** What an estimator reads. */
export interface EstimatorInput {
  rows: readonly Row[];
  positions: Positions;
  /** Subtracted from the reward of each position: β·KL; absent where there is none. */
  penalties_N?: Float64Array;
  state: BaselineState;
  choices: Choices;
}

/** What it says, before whitening. */
export interface Estimate {
  advantages_N: Float64Array;
  returns_N?: Float64Array;
  /** V at the positions, where there is a critic. */
  values_N?: Float64Array;
  silent_D: boolean[];
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
    const { advantages_D, silent_D, ...rest } = centre(input, rewards_D, groupsOf(input));
    const rewards_N = tokenRewards(input, advantages_D);
    const advantages_N = new Float64Array(rewards_N.length);
    forEachSequence(input.positions, (start, end) =>
      advantages_N.set(returnsToGo(rewards_N.subarray(start, end), input.choices.gamma), start),
    );
    // A KL in the reward teaches where rewards do not.
    return { ...rest, advantages_N, silent_D: silent_D.map((silent) => silent && input.penalties_N === undefined) };
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
    const silent_D = rows.map(() => false);
    return { advantages_N, returns_N, values_N, silent_D, zeroVarianceGroups: 0, explanations: [], state: input.state };
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
  return reinforceAdvantages(rewards_D, groups_D, state, {
    baseline: choices.baseline,
    decay: choices.baselineDecay,
  });
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
