/** @file Small batches for the tests of algorithms: trajectories of given shapes, with evidence where an algorithm needs it. */
import type { FinishReason, Group, Role, Segment, Trajectory } from "../types.js";
import type { AdvantageRow, Algorithm, AlgorithmState, Row, Rows } from "./algorithm.js";

/** Prompt of two tokens, then policy and environment in turns of the given lengths. */
export function trajectoryOf(lengths: readonly number[], finishReason: FinishReason = "answered"): Trajectory {
  return trajectoryOfShape("pp" + lengths.map((length, turn) => "wo"[turn % 2].repeat(length)).join(""), {
    finishReason,
  });
}

const roles: Readonly<Record<string, Role>> = { p: "prompt", w: "policy", o: "environment" };

/** One letter per token: p of the prompt, w written by the policy, o of an observation. */
export function trajectoryOfShape(
  shape: string,
  { finishReason = "answered" as FinishReason, logprobs_T = undefined as readonly number[] | undefined } = {},
): Trajectory {
  const segments: Segment[] = [];
  for (const run of shape.matchAll(/p+|w+|o+/g)) {
    const role = roles[run[0][0]];
    const tokens_T = Array.from(run[0], (_, index) => run.index + index);
    const sampled_T = tokens_T.map((t, index) => logprobs_T?.[t] ?? -0.1 * (index + 1));
    segments.push(role === "policy" ? { role, tokens_T, logprobs_T: sampled_T } : { role, tokens_T });
  }
  return {
    questionId: "q",
    segments,
    searches: [],
    answer: null,
    finishReason,
    texts: segments.map(() => ""),
    timing: { policyMs: 0, searchMs: 0 },
  };
}

export function groupOf(
  rewards_G: number[],
  trajectories_G = rewards_G.map(() => trajectoryOf([3, 4, 2])),
  id = "q",
): Group {
  return { question: { id, question: "?", answers: ["x"] }, trajectories_G, rewards_G };
}

/** What the loop would compute, out of the air: every number a function of row and token. */
export function withEvidence(algorithm: Algorithm, batch: Rows): Rows {
  const wave = (row: Row, salt: number): Float32Array =>
    Float32Array.from(row.tokens_T, (token, t) => -0.5 + 0.2 * Math.sin(token + 3 * t + salt));
  const { needs } = algorithm;
  const current = needs.currentLogprobs
    ? algorithm.withCurrentLogprobs(
        batch.rows,
        batch.rows.map((row) => wave(row, 1)),
      )
    : batch.rows;
  const rows = current.map((row) => ({
    ...row,
    ...(needs.reference ? { referenceLogprobs_T: wave(row, 2) } : {}),
    ...(needs.values ? { values_T: wave(row, 3) } : {}),
  }));
  return { ...batch, rows };
}

/** From groups to rows with advantages. */
export function advantageRows(
  algorithm: Algorithm,
  groups: readonly Group[],
  state: AlgorithmState = algorithm.initialState(),
): AdvantageRow[] {
  return algorithm.advantages(withEvidence(algorithm, algorithm.rows(groups)), state).rows;
}

/** The author of each token, `[T]`. */
export function tokenRoles(trajectory: Trajectory): Role[] {
  return trajectory.segments.flatMap(({ role, tokens_T }) => tokens_T.map(() => role));
}

/** Tokens the policy wrote. */
export function policyTokenCount(trajectory: Trajectory): number {
  let count = 0;
  for (const { role, tokens_T } of trajectory.segments) if (role === "policy") count += tokens_T.length;
  return count;
}
