/** @file −Σ w·log p */
import type { Datum } from "../../types.js";
import { requireAligned, type Logprobs, type TokenLoss } from "./loss.js";

/** Weighted cross-entropy; with weights −∂L/∂logprob its gradient is that of any other loss L. */
export function crossEntropy(logprobs_T: Logprobs, datum: Datum): TokenLoss {
  requireAligned(logprobs_T, datum);
  const { sampledMask_T, weights_T } = datum;
  if (weights_T === undefined) throw new Error("internal: cross_entropy needs weights_T");
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  let loss = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    loss -= weights_T[t] * logprobs_T[t];
    gradLogprobs_T[t] = -weights_T[t];
  }
  return { loss, gradLogprobs_T };
}
