/**
 * @file The losses: arithmetic on the log-probabilities of one sequence. Those that a policy's `forwardBackward` knows (the truth its fast
 * paths are tested against), and those that only TypeScript knows.
 *
 * With r the probability of a token now over that when it was sampled, and A its advantage:
 *
 * - `cross_entropy`: −Σ w·log p. With weights −∂L/∂logprob its gradient is that of any other loss L.
 * - `importance_sampling`: −Σ r·A, the policy gradient for data of a slightly older policy. At r = 1 the gradient is REINFORCE's, −A·∂logprob.
 * - `ppo` (arXiv:1707.06347, eq. 7): −Σ min(r·A, clip(r, 1 − low, 1 + high)·A). A token has no gradient where the clipped branch is smaller.
 * - `dual-clip` (arXiv:1912.09729, eq. 5): where A < 0, PPO's surrogate is at least c·A with c > 1, and has no gradient there. A token that the
 *   policy has come to like much more than the sampler did, and that turned out bad, can otherwise have a loss without bound.
 * - `cispo` (arXiv:2506.13585, eq. 4): −Σ stop_gradient(clip(r, 1 − low, 1 + high))·A·log p. The ratio weighs the token but carries no
 *   gradient, so clipped tokens go on learning.
 * - `gspo` (arXiv:2507.18071, eq. 5): PPO's surrogate with one ratio for the whole sequence; see `gspo` below.
 */
import type { LossSpec } from "../contracts/policy.js";
import type { Datum } from "../types.js";

/** A loss on ratios: those that engines compute by themselves, and those that only TypeScript knows. */
export type PolicyLoss =
  | Exclude<LossSpec, { kind: "cross_entropy" }>
  /** PPO whose loss of a token with negative advantage is at most c·|A| (arXiv:1912.09729, eq. 5). */
  | { kind: "dual-clip"; clipLow: number; clipHigh: number; dualClip: number }
  /** The clipped surrogate on the ratio of whole sequences (GSPO, arXiv:2507.18071, eq. 5). */
  | { kind: "gspo"; clipLow: number; clipHigh: number };

/** Every loss there is. */
export type AnyLoss = LossSpec | PolicyLoss;

/** Whether engines compute the loss in one pass. */
export function isEngineLoss(loss: PolicyLoss): loss is Extract<PolicyLoss, LossSpec> {
  return loss.kind !== "dual-clip" && loss.kind !== "gspo";
}

/** Loss of one sequence and its gradient. Σ over tokens; the aggregation stands in the datum's weights. */
interface TokenLoss {
  loss: number;
  /** ∂loss/∂logprob of each token; 0 where no loss is carried. */
  gradLogprobs_T: Float32Array;
}

/** Log-probabilities of one sequence's tokens, `[T]`, in nats. */
export type Logprobs = ArrayLike<number>;

/**
 * The loss that `spec` names, of one sequence.
 * @throws Error (internal) when lengths differ, the datum lacks what the loss reads, or a token that carries loss has no old log-probability
 */
export function tokenLoss(spec: AnyLoss, logprobs_T: Logprobs, datum: Datum): TokenLoss {
  if (spec.kind === "cross_entropy") return crossEntropy(logprobs_T, datum);
  const input = ratioInput(logprobs_T, datum);
  const result = spec.kind === "gspo" ? gspo(logprobs_T, input, spec) : ratioLoss(logprobs_T, input, spec);
  if (Number.isNaN(result.loss)) requireOldLogprobs(datum);
  return result;
}

/**
 * The same over data: summed loss, a gradient `[T]` for each datum.
 * @throws Error (internal) when the numbers of data and log-probabilities differ, and as `tokenLoss` does
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

function crossEntropy(logprobs_T: Logprobs, datum: Datum): TokenLoss {
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

/** Where ratios and surrogates end. */
interface Bounds {
  /** Ratios are clipped to [low, high]. */
  low: number;
  high: number;
  /** c: the surrogate of a negative advantage A is at least c·A. */
  dualClip: number;
}

function boundsOf(spec: PolicyLoss): Bounds {
  const dualClip = spec.kind === "dual-clip" ? spec.dualClip : Infinity;
  if (spec.kind === "importance_sampling") return { low: -Infinity, high: Infinity, dualClip };
  return { low: 1 - spec.clipLow, high: 1 + spec.clipHigh, dualClip };
}

/** max(min(r·A, clip(r)·A), c·A where A < 0). It equals r·A exactly where the gradient passes. */
function surrogate(ratio: number, advantage: number, { low, high, dualClip }: Bounds): number {
  const gain = Math.min(ratio * advantage, Math.min(Math.max(ratio, low), high) * advantage);
  return advantage < 0 ? Math.max(gain, dualClip * advantage) : gain;
}

/** The losses with a ratio for each token. */
function ratioLoss(logprobs_T: Logprobs, input: RatioInput, spec: Exclude<PolicyLoss, { kind: "gspo" }>): TokenLoss {
  const { sampledMask_T, old_T, advantages_T } = input;
  const bounds = boundsOf(spec);
  const { low, high } = bounds;
  const isWeight = spec.kind === "cispo";
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  let loss = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    const ratio = Math.exp(logprobs_T[t] - old_T[t]);
    const advantage = advantages_T[t];
    if (isWeight) {
      const weight = Math.min(Math.max(ratio, low), high) * advantage;
      loss -= weight * logprobs_T[t];
      gradLogprobs_T[t] = -weight;
    } else {
      const gain = surrogate(ratio, advantage, bounds);
      loss -= gain;
      if (gain === ratio * advantage) gradLogprobs_T[t] = -gain;
    }
  }
  return { loss, gradLogprobs_T };
}

/**
 * GSPO: −min(s·A, clip(s, 1 − low, 1 + high)·A), with s = exp(mean over the sequence's tokens of log r), the geometric mean of their ratios.
 * The gradient −s·A/tokens stands on every token of the sequence, or on none.
 *
 * 1. A is the sum of the tokens' advantages, shares included: with `sequence-mean` that is the sequence's advantage ÷ sequences, as in the paper.
 *    Advantages that differ from token to token count as their sum (GSPO-token, eq. 13, is not built).
 * 2. The mean runs over the tokens that carry loss: retrieved ones have no ratio.
 * 3. s moves by a mean, so its clip range is a thousandth of PPO's.
 */
function gspo(logprobs_T: Logprobs, input: RatioInput, spec: Extract<PolicyLoss, { kind: "gspo" }>): TokenLoss {
  const { sampledMask_T, advantages_T } = input;
  const gradLogprobs_T = new Float32Array(logprobs_T.length);
  const { ratio, tokens } = sequenceRatio(logprobs_T, input);
  let advantage = 0;
  for (let t = 1; t < logprobs_T.length; t++) if (sampledMask_T[t] === 1) advantage += advantages_T[t];
  const gain = surrogate(ratio, advantage, boundsOf(spec));
  if (gain === ratio * advantage) {
    for (let t = 1; t < logprobs_T.length; t++) if (sampledMask_T[t] === 1) gradLogprobs_T[t] = -gain / tokens;
  }
  return { loss: 0 - gain, gradLogprobs_T };
}

/** s of a sequence, 1 where no token carries loss. */
export function sequenceRatio(
  logprobs_T: Logprobs,
  { sampledMask_T, old_T }: RatioInput,
): { ratio: number; tokens: number } {
  let sum = 0;
  let tokens = 0;
  for (let t = 1; t < logprobs_T.length; t++) {
    if (sampledMask_T[t] === 0) continue;
    sum += logprobs_T[t] - old_T[t];
    tokens++;
  }
  return { ratio: Math.exp(sum / Math.max(1, tokens)), tokens };
}

/** The positions that carry loss: the mask, without index 0, which nothing predicts. */
export function carriesLoss(datum: Pick<Datum, "sampledMask_T">, t: number): boolean {
  return t > 0 && datum.sampledMask_T[t] === 1;
}

/** Of the tokens that carry loss, those that a pass with a loss on ratios moves. Engines compute no others: they return 0 for their log-probabilities. */
export function isMoved(datum: Pick<Datum, "sampledMask_T" | "advantages_T" | "entropyWeights_T">, t: number): boolean {
  return carriesLoss(datum, t) && ((datum.advantages_T?.[t] ?? 0) !== 0 || (datum.entropyWeights_T?.[t] ?? 0) !== 0);
}

/** What every ratio-based loss reads of a sequence. */
interface RatioInput {
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

/** @throws Error (internal) when tokens, log-probabilities and mask differ in length */
function requireAligned(logprobs_T: Logprobs, { tokens_T, sampledMask_T }: Datum): void {
  const length = tokens_T.length;
  if (logprobs_T.length !== length || sampledMask_T.length !== length) {
    throw new Error(
      `internal: ${length} tokens with ${logprobs_T.length} log-probabilities and a mask of ${sampledMask_T.length}`,
    );
  }
}

/** @throws Error (internal) when a token that carries loss has no old log-probability */
function requireOldLogprobs(datum: Datum): void {
  datum.logprobs_T?.forEach((old, t) => {
    if (Number.isNaN(old) && carriesLoss(datum, t)) {
      throw new Error(`internal: token ${t} carries loss but has no old log-probability; see withCurrentLogprobs`);
    }
  });
}
