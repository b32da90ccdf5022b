/** @file The rows of a batch: what is compared with what, which tokens take part, and whose log-probabilities ratios are taken against. */
import type { Group, Trajectory } from "../types.js";
import type { Row, Rows } from "./algorithm.js";
import type { Choices } from "./choices.js";
import { trajectoryToDatum } from "./datum.js";

/** Whether the end of a trajectory was the policy's doing. Others are neither compared nor trained on. */
export function isPolicyOutcome({ finishReason }: Trajectory): boolean {
  return finishReason !== "cancelled" && finishReason !== "search-failed";
}

type RowChoices = Pick<Choices, "maskRetrieved" | "observationsInAdvantage" | "groupByIndex">;

/**
 * The rows of a batch in the order of its groups.
 * @throws Error (internal) when a group's rewards do not pair with its trajectories
 */
export function makeRows(groups: readonly Group[], choices: RowChoices): Rows {
  const rows: Row[] = [];
  let trajectories = 0;
  groups.forEach(({ question, trajectories_G, rewards_G }, index) => {
    if (rewards_G.length !== trajectories_G.length) {
      throw new Error(
        `internal: question ${question.id} has ${trajectories_G.length} trajectories and ${rewards_G.length} rewards`,
      );
    }
    trajectories += trajectories_G.length;
    const group = choices.groupByIndex ? indexIn(question.id) : index;
    trajectories_G.forEach((trajectory, member) => {
      if (isPolicyOutcome(trajectory)) rows.push(rowOf(trajectory, rewards_G[member], group, choices));
    });
  });
  return { rows, groups: groups.length, trajectories };
}

/** The number at the end of an id, 0 without one: what the original code grouped by, in whatever dataset it stood. */
function indexIn(id: string): number {
  return Number(/\d+$/.exec(id)?.[0] ?? 0);
}

function rowOf(trajectory: Trajectory, reward: number, group: number, choices: RowChoices): Row {
  const datum = trajectoryToDatum(trajectory, { maskRetrieved: choices.maskRetrieved });
  const advantageMask_T = choices.observationsInAdvantage
    ? writtenAfterPrompt(trajectory)
    : datum.sampledMask_T.slice();
  // Nothing predicts the first token.
  if (advantageMask_T.length > 0) advantageMask_T[0] = 0;
  return {
    trajectory,
    reward,
    group,
    tokens_T: datum.tokens_T,
    sampledMask_T: datum.sampledMask_T,
    advantageMask_T,
    logprobs_T: datum.logprobs_T,
  };
}

function writtenAfterPrompt({ segments }: Trajectory): Uint8Array {
  const mask_T = new Uint8Array(segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0));
  let start = 0;
  for (const { role, tokens_T } of segments) {
    if (role !== "prompt") mask_T.fill(1, start, start + tokens_T.length);
    start += tokens_T.length;
  }
  return mask_T;
}

/**
 * Rows whose old log-probabilities are the trainer's where `choices` say so, all aligned with `current_D_T`.
 *
 * 1. Missing ones (NaN: retrieved tokens that carry loss in the ablation were never sampled) become the trainer's.
 * 2. `trainerRatios`: all become the trainer's, so ratios begin at 1 (what Search-R1's code does).
 * 3. `truncatedRatio` C: all become the trainer's, and the token's loss is multiplied by min(π_trainer/π_sampler, C) (truncated importance
 *    sampling, Ionides 2008, between the distribution that was sampled and the one that is trained).
 * @throws Error (internal) when lengths differ
 */
export function withCurrentLogprobs(
  rows: readonly Row[],
  current_D_T: readonly Float32Array[],
  choices: Pick<Choices, "trainerRatios" | "truncatedRatio">,
): Row[] {
  if (rows.length !== current_D_T.length) {
    throw new Error(`internal: ${rows.length} rows and log-probabilities of ${current_D_T.length}`);
  }
  return rows.map((row, d) => withCurrent(row, current_D_T[d], choices));
}

function withCurrent(
  row: Row,
  current_T: Float32Array,
  { trainerRatios, truncatedRatio }: Pick<Choices, "trainerRatios" | "truncatedRatio">,
): Row {
  const { sampledMask_T, logprobs_T: sampler_T } = row;
  if (current_T.length !== sampler_T.length) {
    throw new Error(`internal: a row of ${sampler_T.length} tokens and ${current_T.length} log-probabilities`);
  }
  const replaces = trainerRatios || truncatedRatio > 0;
  const logprobs_T = sampler_T.slice();
  const correction_T = truncatedRatio > 0 ? new Float32Array(sampler_T.length).fill(1) : undefined;
  for (let t = 0; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    const isMissing = Number.isNaN(sampler_T[t]);
    if (correction_T && !isMissing) correction_T[t] = Math.min(Math.exp(current_T[t] - sampler_T[t]), truncatedRatio);
    if (replaces || isMissing) logprobs_T[t] = current_T[t];
  }
  return correction_T ? { ...row, logprobs_T, correction_T } : { ...row, logprobs_T };
}
