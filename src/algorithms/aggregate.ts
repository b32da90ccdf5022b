/**
 * @file How tokens share in a batch's loss. A share is a number per sequence, the same for all its tokens that carry
 * loss; losses are sums over tokens, so shares folded into advantages are the whole aggregation and a batch can be
 * split into micro-batches at will.
 */
import type { Datum } from "../types.js";

/**
 * - `token-mean`: every token of the batch counts the same (DAPO, arXiv:2503.14476, §3.3).
 * - `sequence-mean`: every trajectory counts the same, its tokens share (GRPO, eq. 3).
 * - `micro-batch-mean`: token mean inside each micro-batch of so many rows, then the plain mean over them (what Search-R1's code does).
 * - `constant`: the sum divided by sequences × `constantTokens` (Dr. GRPO, arXiv:2503.20783): length has no influence.
 */
export const aggregations = ["token-mean", "sequence-mean", "constant", "micro-batch-mean"] as const;
type Aggregation = (typeof aggregations)[number];

interface AggregationOptions {
  /** `constant`: the length to divide by, usually the most tokens a trajectory may write. Default 1. */
  constantTokens?: number;
  /** `micro-batch-mean`: sequences of one micro-batch, which follow each other. Default 1. */
  microBatchRows?: number;
}

/** Tokens of a sequence that carry loss: all of the mask but index 0, which nothing predicts. */
export function lossTokens({ sampledMask_T }: Pick<Datum, "sampledMask_T">): number {
  let count = 0;
  for (let t = 1; t < sampledMask_T.length; t++) count += sampledMask_T[t];
  return count;
}

/**
 * The share of each token of each sequence, for a batch whose sequences have `tokens_D` tokens that carry loss.
 * A sequence without any has share 0.
 */
export function tokenShares(
  tokens_D: readonly number[],
  aggregation: Aggregation,
  { constantTokens = 1, microBatchRows = 1 }: AggregationOptions = {},
): number[] {
  const sequences = tokens_D.filter((tokens) => tokens > 0).length;
  switch (aggregation) {
    case "token-mean":
      return shareEqually(tokens_D);
    case "sequence-mean":
      return tokens_D.map((tokens) => (tokens === 0 ? 0 : 1 / (sequences * tokens)));
    case "constant":
      return tokens_D.map((tokens) => (tokens === 0 ? 0 : 1 / (sequences * constantTokens)));
    case "micro-batch-mean": {
      const batches: number[][] = [];
      for (let d = 0; d < tokens_D.length; d += microBatchRows) batches.push(tokens_D.slice(d, d + microBatchRows));
      const counted = batches.filter((batch) => batch.some((tokens) => tokens > 0)).length;
      return batches.flatMap((batch) => shareEqually(batch).map((share) => share / Math.max(1, counted)));
    }
  }
}

function shareEqually(tokens_D: readonly number[]): number[] {
  const total = tokens_D.reduce((sum, tokens) => sum + tokens, 0);
  return tokens_D.map((tokens) => (tokens === 0 ? 0 : 1 / total));
}
