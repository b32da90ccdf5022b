/** @file From a trajectory to a training sequence. Masks come from roles, and from nothing else. */
import type { Datum, Role, Trajectory } from "../types.js";

export interface DatumOptions {
  /**
   * True (default): only policy tokens carry loss. False is the ablation of the paper's table 4: environment tokens
   * carry loss too. They were not sampled, so their `logprobs_T` are NaN until `fillEnvironmentLogprobs` puts the
   * trainer's own there (taken before the first update on this data); a ratio loss refuses NaN.
   */
  maskRetrieved?: boolean;
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

/**
 * The trajectory as one row: its tokens, a mask of those that carry loss, and the log-probabilities at which they were
 * sampled (0 where there is no loss). Advantages are the algorithm's to add.
 * @throws Error (internal) when a policy segment lacks log-probabilities.
 */
export function trajectoryToDatum(trajectory: Trajectory, options: DatumOptions = {}): Datum {
  const { maskRetrieved = true } = options;
  const length = trajectory.segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);
  const tokens_T: number[] = [];
  const sampledMask_T = new Uint8Array(length);
  const logprobs_T = new Float32Array(length);
  for (const segment of trajectory.segments) {
    const start = tokens_T.length;
    const end = start + segment.tokens_T.length;
    tokens_T.push(...segment.tokens_T);
    if (segment.role === "policy") {
      if (segment.logprobs_T?.length !== segment.tokens_T.length) {
        throw new Error(
          `internal: question ${trajectory.questionId}: a policy segment has ${segment.tokens_T.length} tokens and ${segment.logprobs_T?.length ?? 0} log-probabilities`,
        );
      }
      sampledMask_T.fill(1, start, end);
      logprobs_T.set(segment.logprobs_T, start);
    } else if (segment.role === "environment" && !maskRetrieved) {
      sampledMask_T.fill(1, start, end);
      logprobs_T.fill(NaN, start, end);
    }
  }
  return { tokens_T, sampledMask_T, logprobs_T };
}

/** Whether some token that carries loss has no log-probability yet. */
export function lacksLogprobs(datum: Datum): boolean {
  return datum.logprobs_T?.some(Number.isNaN) ?? false;
}

/** The data with every missing log-probability (NaN) taken from `logprobs_D_T`, the trainer's current ones. */
export function fillEnvironmentLogprobs(data_D: readonly Datum[], logprobs_D_T: readonly Float32Array[]): Datum[] {
  if (data_D.length !== logprobs_D_T.length) {
    throw new Error(`internal: ${data_D.length} data and log-probabilities of ${logprobs_D_T.length}`);
  }
  return data_D.map((datum, row) => {
    if (!lacksLogprobs(datum)) return datum;
    const logprobs_T = datum.logprobs_T?.map((logprob, t) => (Number.isNaN(logprob) ? logprobs_D_T[row][t] : logprob));
    return { ...datum, logprobs_T };
  });
}
