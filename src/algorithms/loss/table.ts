/**
 * @file The losses by name: those that a policy's `forwardBackward` knows (the truth its fast paths are tested against), and those that only
 * TypeScript knows.
 */
import type { LossSpec } from "../../contracts/policy.js";
import type { Datum } from "../../types.js";
import type { PolicyLoss } from "../objective.js";
import { cispo } from "./cispo.js";
import { crossEntropy } from "./cross-entropy.js";
import { dualClipPpo } from "./dual-clip.js";
import { gspo } from "./gspo.js";
import { importanceSampling } from "./importance-sampling.js";
import type { Logprobs, TokenLoss } from "./loss.js";
import { ppo } from "./ppo.js";

/** Every loss there is. */
export type AnyLoss = LossSpec | PolicyLoss;
type Spec<K extends AnyLoss["kind"]> = Extract<AnyLoss, { kind: K }>;

const losses: { [K in AnyLoss["kind"]]: (logprobs_T: Logprobs, datum: Datum, spec: Spec<K>) => TokenLoss } = {
  cross_entropy: crossEntropy,
  importance_sampling: importanceSampling,
  ppo,
  cispo,
  "dual-clip": dualClipPpo,
  gspo,
};

/** The loss that `spec` names, of one sequence. */
export function tokenLoss<K extends AnyLoss["kind"]>(spec: Spec<K>, logprobs_T: Logprobs, datum: Datum): TokenLoss {
  return losses[spec.kind as K](logprobs_T, datum, spec);
}

/**
 * The same over data: summed loss, a gradient `[T]` for each datum.
 * @throws Error (internal) when the lengths differ or a datum lacks what the loss reads
 */
export function dataLoss(
  spec: AnyLoss,
  data_D: readonly Datum[],
  logprobs_D_T: readonly Logprobs[],
): { loss: number; gradLogprobs_D_T: Float32Array[] } {
  if (data_D.length !== logprobs_D_T.length) {
    throw new Error(`internal: ${data_D.length} data and log-probabilities of ${logprobs_D_T.length}`);
  }
  const rows = data_D.map((datum, row) => tokenLoss(spec, logprobs_D_T[row], datum));
  return {
    loss: rows.reduce((sum, { loss }) => sum + loss, 0),
    gradLogprobs_D_T: rows.map(({ gradLogprobs_T }) => gradLogprobs_T),
  };
}
