/** @file What a loss is: arithmetic on the log-probabilities of one sequence. */
import type { Datum } from "../../types.js";

/** Loss of one sequence and its gradient. Σ over tokens; the aggregation stands in the datum's weights. */
export interface TokenLoss {
  loss: number;
  /** ∂loss/∂logprob of each token; 0 where no loss is carried. */
  gradLogprobs_T: Float32Array;
}

/** Log-probabilities of one sequence's tokens, `[T]`, in nats. */
export type Logprobs = ArrayLike<number>;

/** The positions that carry loss: the mask, without index 0, which nothing predicts. */
export function carriesLoss(datum: Pick<Datum, "sampledMask_T">, t: number): boolean {
  return t > 0 && datum.sampledMask_T[t] === 1;
}

/** Of the tokens that carry loss, those that a pass with a loss on ratios moves. Engines compute no others: they return 0 for their log-probabilities. */
export function isMoved(datum: Pick<Datum, "sampledMask_T" | "advantages_T" | "entropyWeights_T">, t: number): boolean {
  return carriesLoss(datum, t) && ((datum.advantages_T?.[t] ?? 0) !== 0 || (datum.entropyWeights_T?.[t] ?? 0) !== 0);
}

/** @throws Error (internal) when tokens, log-probabilities and mask differ in length */
export function requireAligned(logprobs_T: Logprobs, { tokens_T, sampledMask_T }: Datum): void {
  const length = tokens_T.length;
  if (logprobs_T.length !== length || sampledMask_T.length !== length) {
    throw new Error(
      `internal: ${length} tokens with ${logprobs_T.length} log-probabilities and a mask of ${sampledMask_T.length}`,
    );
  }
}

/** What every ratio-based loss reads of a sequence. */
export interface RatioInput {
  sampledMask_T: Uint8Array;
  old_T: Float32Array;
  advantages_T: Float32Array;
}

/** @throws Error (internal) when the datum has no old log-probabilities or advantages, or lengths differ */
export function ratioInput(logprobs_T: Logprobs, datum: Datum): RatioInput {
  requireAligned(logprobs_T, datum);
  const { sampledMask_T, logprobs_T: old_T, advantages_T } = datum;
  if (old_T?.length !== logprobs_T.length || advantages_T?.length !== logprobs_T.length) {
    throw new Error("internal: a ratio loss needs logprobs_T and advantages_T of every token");
  }
  return { sampledMask_T, old_T, advantages_T };
}

/**
 * The result of a ratio loss.
 * @throws Error (internal) when it is no number because a token that carries loss has no old log-probability
 */
export function ratioResult(loss: number, gradLogprobs_T: Float32Array, datum: Datum): TokenLoss {
  if (Number.isNaN(loss)) requireOldLogprobs(datum);
  return { loss, gradLogprobs_T };
}

function requireOldLogprobs(datum: Datum): void {
  datum.logprobs_T?.forEach((old, t) => {
    if (Number.isNaN(old) && carriesLoss(datum, t)) {
      throw new Error(`internal: token ${t} carries loss but has no old log-probability; see withCurrentLogprobs`);
    }
  });
}
