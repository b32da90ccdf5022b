/**
 * @file How tokens share in a batch's loss. A share is a number per sequence, the same for all its tokens that carry
 * loss; losses are sums over tokens, so shares folded into advantages are the whole aggregation and a batch can be
 * split into micro-batches at will.
 */
import type { Datum } from "../types.js";
import { carriesLoss } from "./loss/loss.js";

/**
 * - `token-mean`: every token of the batch counts the same (DAPO, arXiv:2503.14476, §3.3).
 * - `sequence-mean`: every trajectory counts the same, its tokens share (GRPO, eq. 3).
 * - `micro-batch-mean`: token mean inside each micro-batch of so many rows, then the plain mean over them (what Search-R1's code does).
 * - `constant`: the sum divided by sequences × `constantTokens` (Dr. GRPO, arXiv:2503.20783): length has no influence.
 */
export type Aggregation = "token-mean" | "sequence-mean" | "constant" | "micro-batch-mean";

/** Tokens of a datum that carry loss. */
export function lossTokens(datum: Datum): number {
  let count = 0;
  for (let t = 0; t < datum.tokens_T.length; t++) if (carriesLoss(datum, t)) count++;
  return count;
}

/**
 * The share of each token of each sequence, for a batch whose sequences have `tokens_D` tokens that carry loss.
 * A sequence without any has share 0.
 * @param constantTokens For `constant`: the length to divide by, usually the most tokens a trajectory may write.
 */
export function tokenShares(tokens_D: readonly number[], aggregation: Aggregation, constantTokens = 1): number[] {
  const total = tokens_D.reduce((sum, tokens) => sum + tokens, 0);
  const sequences = tokens_D.filter((tokens) => tokens > 0).length;
  return tokens_D.map((tokens) => {
    if (tokens === 0) return 0;
    if (aggregation === "token-mean") return 1 / total;
    return 1 / (sequences * (aggregation === "sequence-mean" ? tokens : constantTokens));
  });
}

/** The datum with `advantage` × `share` on every token that carries loss, those before a search included. */
export function withAdvantage(datum: Datum, advantage: number, share: number): Datum {
  const advantages_T = Float32Array.from(datum.tokens_T, (_, t) => (carriesLoss(datum, t) ? advantage * share : 0));
  return { ...datum, advantages_T };
}
