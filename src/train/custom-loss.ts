/**
 * @file Any loss on any policy. A loss is a function of log-probabilities; its gradient by them, negated, is the weights
 * of a cross-entropy whose gradient by the parameters is the same (what the Tinker SDK's `forward_backward_custom` does).
 * It costs one more forward pass than a loss the engine knows.
 */
import type { ForwardBackwardResult, Policy } from "../contracts/policy.js";
import type { Datum } from "../types.js";

/** Loss over data and its gradient by each log-probability, at the log-probabilities given; anything else is passed on. */
interface CustomLossResult {
  loss: number;
  gradLogprobs_D_T: readonly Float32Array[];
}

type CustomLoss<R extends CustomLossResult> = (data_D: readonly Datum[], logprobs_D_T: readonly Float32Array[]) => R;

/**
 * Adds the gradient of `lossFunction` to the policy's accumulated gradient, and that of the entropy bonus where the data have one.
 * @returns what the loss function returned, its loss less the bonus; the log-probabilities it was given (0 where no loss is carried), the entropies
 */
export async function customLossStep<R extends CustomLossResult>(
  policy: Pick<Policy, "logprobs" | "forwardBackward">,
  data_D: readonly Datum[],
  lossFunction: CustomLoss<R>,
): Promise<R & Pick<ForwardBackwardResult, "logprobs_D_T" | "entropies_D_T">> {
  const sequences = data_D.map(({ tokens_T }) => tokens_T);
  const masks_D_T = data_D.map(({ sampledMask_T }) => sampledMask_T);
  const logprobs_D_T = await policy.logprobs(sequences, { masks_D_T });
  const result = lossFunction(data_D, logprobs_D_T);
  if (result.gradLogprobs_D_T.length !== data_D.length) {
    throw new Error(`internal: ${data_D.length} data and gradients of ${result.gradLogprobs_D_T.length}`);
  }
  const weighted_D = data_D.map(({ tokens_T, sampledMask_T, entropyWeights_T }, row) => ({
    tokens_T,
    sampledMask_T,
    weights_T: result.gradLogprobs_D_T[row].map((gradient) => -gradient),
    ...(entropyWeights_T === undefined ? {} : { entropyWeights_T }),
  }));
  const { entropies_D_T } = await policy.forwardBackward(weighted_D, { kind: "cross_entropy" });
  if (entropies_D_T === undefined) return { ...result, logprobs_D_T };
  return { ...result, loss: result.loss - entropyBonus(data_D, entropies_D_T), logprobs_D_T, entropies_D_T };
}

/** Σ weight·H, which engines subtract from the losses they know. */
function entropyBonus(data_D: readonly Datum[], entropies_D_T: readonly Float32Array[]): number {
  let sum = 0;
  data_D.forEach(({ entropyWeights_T }, row) => {
    entropyWeights_T?.forEach((weight, t) => (sum += weight * entropies_D_T[row][t]));
  });
  return sum;
}
