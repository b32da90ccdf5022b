/** @file What an algorithm asks to know of a batch before it makes advantages: values and log-probabilities, taken before any update. */
import type { Algorithm, Rows } from "../algorithms/algorithm.js";
import { carriesLoss } from "../algorithms/losses.js";
import type { Critic } from "../contracts/critic.js";
import type { Policy } from "../contracts/policy.js";
import type { Datum } from "../types.js";
import type { MetricValues } from "./metrics.js";

/** The batch with everything that `algorithm.needs`, and how far sampler and trainer disagree where that is seen. */
export async function gatherEvidence(
  policy: Policy,
  algorithm: Algorithm,
  batch: Rows,
): Promise<{ batch: Rows; metrics: MetricValues }> {
  const { needs } = algorithm;
  let { rows } = batch;
  let metrics: MetricValues = {};
  if (rows.length === 0) return { batch, metrics };
  const sequences = rows.map(({ tokens_T }) => tokens_T);
  const masks_D_T = rows.map(({ sampledMask_T }) => sampledMask_T);
  if (needs.currentLogprobs) {
    const current = await policy.logprobs(sequences, { masks_D_T });
    metrics = samplerGap(rows, current);
    rows = algorithm.withCurrentLogprobs(rows, current);
  }
  if (needs.reference) {
    const reference = await policy.logprobs(sequences, { reference: true, masks_D_T });
    rows = rows.map((row, index) => ({ ...row, referenceLogprobs_T: reference[index] }));
  }
  if (needs.values) {
    const values = await criticOf(policy).values(
      sequences,
      rows.map(({ advantageMask_T }) => advantageMask_T),
    );
    rows = rows.map((row, index) => ({ ...row, values_T: values[index] }));
  }
  return { batch: { ...batch, rows }, metrics };
}

/** The critic of a policy whose algorithm needs one; `train` has checked that it is there. */
export function criticOf({ critic, capabilities }: Policy): Critic {
  if (critic === undefined)
    throw new Error(`internal: the policy engine ${capabilities.engine} was opened without a critic`);
  return critic;
}

/**
 * How far sampler and trainer disagree about the same policy; it should be rounding alone.
 * @param isKnown whose current log-probability was computed; default all that carry loss
 */
export function samplerGap<Known extends Pick<Datum, "sampledMask_T" | "logprobs_T">>(
  rows: readonly Known[],
  current_D_T: readonly Float32Array[],
  isKnown: (row: Known, t: number) => boolean = carriesLoss,
): MetricValues {
  let sum = 0;
  let most = 0;
  let tokens = 0;
  rows.forEach((row, d) => {
    const { sampledMask_T, logprobs_T } = row;
    for (let t = 1; t < sampledMask_T.length; t++) {
      // Retrieved tokens were not sampled: without the mask theirs are missing.
      if (logprobs_T === undefined || Number.isNaN(logprobs_T[t]) || !isKnown(row, t)) continue;
      const gap = Math.abs(current_D_T[d][t] - logprobs_T[t]);
      sum += gap;
      most = Math.max(most, gap);
      tokens++;
    }
  });
  return { "policy/samplerGap": sum / Math.max(1, tokens), "policy/samplerGapMax": most };
}
