/**
 * @file What an update minimises: a loss on probability ratios, with a KL to the frozen start and an entropy bonus where they are wanted.
 */
import type { MadeData, Objective } from "./algorithm.js";
import { klGradient, klValue } from "./kl.js";
import { dataLoss, type Logprobs } from "./losses.js";

/** The objective without its entropy bonus, which is not a function of the tokens' log-probabilities. */
export interface ObjectiveGradient {
  loss: number;
  /** ∂loss/∂logprob */
  gradLogprobs_D_T: Float32Array[];
  policyLoss: number;
  /** Already multiplied by β; 0 without a KL. */
  klLoss: number;
  /** Plain mean of the estimate over the tokens that carry loss, in nats; absent without a KL. */
  klPerToken?: number;
}

/**
 * Loss and gradient at the current log-probabilities (nats): what comes out is the whole per-token gradient, so any policy that knows weighted
 * cross-entropy can take the step (`train/custom-loss.ts`). The KL is GRPO's (arXiv:2402.03300, eq. 3): β Σ share·kl.
 * @throws Error (internal) when lengths differ, or the reference is missing
 */
export function objectiveGradient(
  { loss: spec, kl }: Objective,
  { data_D, shares_D, referenceLogprobs_D_T }: MadeData,
  logprobs_D_T: readonly Logprobs[],
): ObjectiveGradient {
  const { loss: policyLoss, gradLogprobs_D_T } = dataLoss(spec, data_D, logprobs_D_T);
  if (kl === undefined) return { loss: policyLoss, gradLogprobs_D_T, policyLoss, klLoss: 0 };
  if (referenceLogprobs_D_T?.length !== data_D.length || shares_D.length !== data_D.length) {
    throw new Error(
      `internal: ${data_D.length} data, reference log-probabilities of ${referenceLogprobs_D_T?.length ?? 0}, ${shares_D.length} shares`,
    );
  }
  const { coefficient, estimator } = kl;
  let klLoss = 0;
  let klSum = 0;
  let tokens = 0;
  data_D.forEach(({ sampledMask_T }, d) => {
    const [logprobs_T, reference_T, grad_T] = [logprobs_D_T[d], referenceLogprobs_D_T[d], gradLogprobs_D_T[d]];
    const weight = coefficient * shares_D[d];
    let sum = 0;
    for (let t = 1; t < sampledMask_T.length; t++) {
      if (sampledMask_T[t] === 0) continue;
      const difference = logprobs_T[t] - reference_T[t];
      sum += klValue(estimator, difference);
      grad_T[t] += weight * klGradient(estimator, difference);
      tokens++;
    }
    klLoss += weight * sum;
    klSum += sum;
  });
  return { loss: policyLoss + klLoss, gradLogprobs_D_T, policyLoss, klLoss, klPerToken: klSum / Math.max(1, tokens) };
}
