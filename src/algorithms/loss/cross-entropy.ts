/** @file −Σ w·log p */
import type { Datum } from "../../types.js";
import type { Logprobs, TokenLoss } from "./loss.js";
import { sumTokens } from "./loss.js";

/** Weighted cross-entropy; with weights −∂L/∂logprob its gradient is that of any other loss L. */
export function crossEntropy(logprobs_T: Logprobs, datum: Datum): TokenLoss {
  const weights_T = datum.weights_T;
  if (weights_T === undefined) throw new Error("internal: cross_entropy needs weights_T");
  return sumTokens(logprobs_T, datum, (t) => ({ loss: -weights_T[t] * logprobs_T[t], gradient: -weights_T[t] }));
}
