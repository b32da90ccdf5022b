/** @file From a trajectory to a training sequence. Masks come from roles, and from nothing else. */
import { UserError } from "../errors.js";
import type { Datum, Trajectory } from "../types.js";

interface DatumOptions {
  /**
   * True (default): only policy tokens carry loss. False is the ablation of the paper's table 4: environment tokens
   * carry loss too. They were not sampled, so their `logprobs_T` are NaN until an algorithm's `withCurrentLogprobs` puts the
   * trainer's own there (taken before the first update on this data); a ratio loss refuses NaN.
   */
  maskRetrieved?: boolean;
}

/** A trajectory as one training sequence, before anything is said about what it teaches. */
interface TrajectoryDatum extends Datum {
  logprobs_T: Float32Array;
}

/**
 * The trajectory as one row: its tokens, a mask of those that carry loss, and the log-probabilities at which they were
 * sampled (0 where there is no loss). Advantages are the algorithm's to add.
 * @throws UserError for a text-only trajectory; Error (internal) when a policy segment lacks log-probabilities
 */
export function trajectoryToDatum(trajectory: Trajectory, options: DatumOptions = {}): TrajectoryDatum {
  const { maskRetrieved = true } = options;
  if (trajectory.textOnly) {
    throw new UserError(
      `The attempt at question ${trajectory.questionId} comes from a server that does not tell which tokens it sampled at which log-probabilities, so no ratio can be ` +
        "computed of it. Learn from such attempts as transcripts: sleuth collect --server …, then sleuth sft --transcripts ….",
    );
  }
  const length = trajectory.segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);
  const tokens_T = new Array<number>(length);
  const sampledMask_T = new Uint8Array(length);
  const logprobs_T = new Float32Array(length);
  let start = 0;
  for (const segment of trajectory.segments) {
    const end = start + segment.tokens_T.length;
    for (let t = start; t < end; t++) tokens_T[t] = segment.tokens_T[t - start];
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
    start = end;
  }
  return { tokens_T, sampledMask_T, logprobs_T };
}
