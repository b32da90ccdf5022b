/** @file From the groups of a batch to rows: what is compared with what, and which tokens take part. */
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
