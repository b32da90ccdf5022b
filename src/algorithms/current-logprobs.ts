/** @file The trainer's own log-probabilities in the rows of a batch: missing ones, other denominators, corrections. */
import type { Row } from "./algorithm.js";
import type { Choices } from "./choices.js";

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
