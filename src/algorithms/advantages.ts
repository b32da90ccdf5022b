/** @file The advantages of a batch: KL in the reward → estimator → whitening → back to the tokens of each row, with statistics. */
import type { AdvantageRow, Advantages, AdvantageStats, AlgorithmState, Needs, Row, Rows } from "./algorithm.js";
import type { Choices } from "./choices.js";
import { estimate, whiten } from "./estimators.js";
import { klValue } from "./kl.js";
import { expand, positionsOf, type Positions } from "./positions.js";

/** What the loop has to find out before advantages can be made. */
export function needsOf(choices: Choices): Needs {
  return {
    reference: choices.kl > 0,
    values: choices.advantage === "gae",
    currentLogprobs: choices.truncatedRatio > 0 || choices.trainerRatios || !choices.maskRetrieved,
  };
}

/** β of this batch. */
export function klCoefficient(choices: Choices, state: AlgorithmState): number {
  return state.klCoefficient ?? choices.kl;
}

/**
 * Advantages of a whole batch.
 * @throws Error (internal) when rows lack what `needsOf` names
 */
export function makeAdvantages(batch: Rows, state: AlgorithmState, choices: Choices): Advantages {
  const { rows } = batch;
  requireEvidence(rows, needsOf(choices));
  const positions = positionsOf(rows.map(({ advantageMask_T }) => advantageMask_T));
  const hasPenalty = choices.kl > 0 && choices.klIn === "reward";
  const penalty = hasPenalty ? klPenalty(rows, positions, choices, state) : undefined;
  const made = estimate({ rows, positions, penalties_N: penalty?.penalties_N, state, choices });
  const advantages_N = choices.whiten ? whiten(made.advantages_N) : made.advantages_N;
  const lengths_D = rows.map(({ tokens_T }) => tokens_T.length);
  const advantages_D_T = expand(advantages_N, positions, lengths_D);
  const returns_D_T = made.returns_N && expand(made.returns_N, positions, lengths_D);
  const advantageRows = rows.map((row, d): AdvantageRow => ({
    ...row,
    advantages_T: advantages_D_T[d],
    ...(returns_D_T ? { returns_T: returns_D_T[d] } : {}),
    // Whitened, equal rewards are no longer 0: they stand at a distance from the batch's mean.
    zeroVariance: made.zeroVariance_D[d] && !choices.whiten,
  }));
  const explained = made.returns_N && made.values_N && explainedVariance(made.returns_N, made.values_N);
  const stats: AdvantageStats = {
    groups: batch.groups,
    zeroVarianceGroups: made.zeroVarianceGroups,
    trajectories: batch.trajectories,
    excludedTrajectories: batch.trajectories - rows.length,
    meanReward: rows.reduce((sum, { reward }) => sum + reward, 0) / Math.max(1, rows.length),
    meanAbsoluteAdvantage: meanAbsolute(advantageRows),
    ...(penalty === undefined ? {} : { rewardKl: penalty.kl }),
    ...(explained === undefined ? {} : { explainedVariance: explained }),
    explanations: made.explanations,
  };
  return { rows: advantageRows, stats, state: { ...state, ...made.state } };
}

function requireEvidence(rows: readonly Row[], needs: Needs): void {
  for (const { trajectory, tokens_T, referenceLogprobs_T, values_T } of rows) {
    const lacks =
      needs.reference && referenceLogprobs_T?.length !== tokens_T.length
        ? "reference log-probabilities"
        : needs.values && values_T?.length !== tokens_T.length
          ? "values"
          : undefined;
    if (lacks !== undefined) {
      throw new Error(`internal: a row of question ${trajectory.questionId} has no ${lacks} for its advantages`);
    }
  }
}

/** β·KL at each position that carries loss, and the plain mean of the KL over them. */
function klPenalty(
  rows: readonly Row[],
  { at_N, starts_D }: Positions,
  choices: Choices,
  state: AlgorithmState,
): { penalties_N: Float64Array; kl: number } {
  const coefficient = klCoefficient(choices, state);
  const penalties_N = new Float64Array(at_N.length);
  let sum = 0;
  let count = 0;
  rows.forEach(({ sampledMask_T, logprobs_T, referenceLogprobs_T }, d) => {
    for (let n = starts_D[d]; n < starts_D[d + 1]; n++) {
      const t = at_N[n];
      if (sampledMask_T[t] === 0) continue;
      const kl = klValue(choices.klEstimator, logprobs_T[t] - (referenceLogprobs_T as Float32Array)[t]);
      penalties_N[n] = coefficient * kl;
      sum += kl;
      count++;
    }
  });
  if (Number.isNaN(sum)) throw new Error("internal: a KL in the reward of tokens without log-probabilities");
  return { penalties_N, kl: sum / Math.max(1, count) };
}

/** 1 − Var(R − V)/Var(R); undefined where returns do not vary. */
function explainedVariance(returns_N: Float64Array, values_N: Float64Array): number | undefined {
  const errors_N = new Float64Array(returns_N.length);
  for (let n = 0; n < returns_N.length; n++) errors_N[n] = returns_N[n] - values_N[n];
  const total = variance(returns_N);
  return total > 0 ? 1 - variance(errors_N) / total : undefined;
}

function variance(values_N: Float64Array): number {
  let mean = 0;
  for (let n = 0; n < values_N.length; n++) mean += values_N[n];
  mean /= Math.max(1, values_N.length);
  let squares = 0;
  for (let n = 0; n < values_N.length; n++) squares += (values_N[n] - mean) * (values_N[n] - mean);
  return squares / Math.max(1, values_N.length);
}

function meanAbsolute(rows: readonly AdvantageRow[]): number {
  let sum = 0;
  let count = 0;
  for (const { sampledMask_T, advantages_T } of rows) {
    for (let t = 1; t < sampledMask_T.length; t++) {
      if (sampledMask_T[t] === 0) continue;
      sum += Math.abs(advantages_T[t]);
      count++;
    }
  }
  return sum / Math.max(1, count);
}
