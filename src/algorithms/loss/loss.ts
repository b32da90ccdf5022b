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
export function carriesLoss(datum: Datum, t: number): boolean {
  return t > 0 && datum.sampledMask_T[t] === 1;
}

/**
 * Sums `term` over the positions that carry loss.
 * @throws Error (internal) when tokens, log-probabilities and mask differ in length
 */
export function sumTokens(
  logprobs_T: Logprobs,
  datum: Datum,
  term: (t: number) => { loss: number; gradient: number },
): TokenLoss {
  const length = datum.tokens_T.length;
  if (logprobs_T.length !== length || datum.sampledMask_T.length !== length) {
    throw new Error(
      `internal: ${length} tokens with ${logprobs_T.length} log-probabilities and a mask of ${datum.sampledMask_T.length}`,
    );
  }
  const result: TokenLoss = { loss: 0, gradLogprobs_T: new Float32Array(length) };
  for (let t = 0; t < length; t++) {
    if (!carriesLoss(datum, t)) continue;
    const { loss, gradient } = term(t);
    result.loss += loss;
    result.gradLogprobs_T[t] = gradient;
  }
  return result;
}

/**
 * What every ratio-based loss needs of token t: the ratio new ÷ old, and the advantage.
 * @throws Error (internal) when the datum has no old log-probability or no advantage there
 */
export function ratioAt(logprobs_T: Logprobs, datum: Datum, t: number): { ratio: number; advantage: number } {
  const old = datum.logprobs_T?.[t];
  const advantage = datum.advantages_T?.[t];
  if (old === undefined || advantage === undefined) {
    throw new Error("internal: a ratio loss needs logprobs_T and advantages_T of every token");
  }
  if (Number.isNaN(old)) {
    throw new Error(`internal: token ${t} carries loss but has no old log-probability; see fillEnvironmentLogprobs`);
  }
  return { ratio: Math.exp(logprobs_T[t] - old), advantage };
}
