/** @file From rows with advantages to the data of one update: which tokens carry loss, and with what weight. */
import type { Datum } from "../types.js";
import { lossTokens, tokenShares } from "./aggregate.js";
import type { AdvantageRow, MadeData } from "./algorithm.js";
import type { Choices } from "./choices.js";

/**
 * Advantages × shares × corrections of exactly these rows.
 *
 * 1. Rows without signal are left out of the data and of the mean, unless the loss has a KL or an entropy bonus, which hold for them too.
 *    Search-R1's code counted them, and so does `micro-batch-mean`.
 * 2. Where every advantage is 0 (raw rewards that are all 0) and nothing else holds, there are no data: an optimizer step would only move by
 *    its momentum. Single rows of that kind stay, they count in the mean.
 * 3. Trajectories that ran out of tokens carry no loss with `overlong: "mask"`, nor do they count in the mean.
 */
export function makeData(rows: readonly AdvantageRow[], choices: Choices): MadeData {
  const hasKl = choices.kl > 0 && choices.klIn === "loss";
  const teaches = (row: AdvantageRow): boolean => !row.zeroVariance || hasKl || choices.entropy !== 0;
  const isMasked = ({ trajectory }: AdvantageRow): boolean =>
    choices.overlong === "mask" && trajectory.finishReason === "out-of-tokens";
  const countsZeroVariance = choices.aggregation === "micro-batch-mean";
  const tokens_D = rows.map((row) => (isMasked(row) || !(teaches(row) || countsZeroVariance) ? 0 : lossTokens(row)));
  const rowShares_D = tokenShares(tokens_D, choices.aggregation, choices);

  const made: MadeData = { data_D: [], shares_D: [], lossTokens: 0, tokens: 0 };
  const references_D_T: Float32Array[] = [];
  rows.forEach((row, d) => {
    if (tokens_D[d] === 0 || !teaches(row)) return;
    made.data_D.push(datumOf(row, rowShares_D[d], choices.entropy));
    made.shares_D.push(rowShares_D[d]);
    made.lossTokens += tokens_D[d];
    made.tokens += row.tokens_T.length;
    if (hasKl) references_D_T.push(row.referenceLogprobs_T as Float32Array);
  });
  if (hasKl) return { ...made, referenceLogprobs_D_T: references_D_T };
  const isIdle =
    choices.entropy === 0 && made.data_D.every(({ advantages_T }) => advantages_T?.every((one) => one === 0));
  return isIdle ? { data_D: [], shares_D: [], lossTokens: 0, tokens: 0 } : made;
}

function datumOf(row: AdvantageRow, share: number, entropy: number): Datum {
  const { tokens_T, sampledMask_T, logprobs_T, correction_T } = row;
  const advantages_T = new Float32Array(tokens_T.length);
  for (let t = 1; t < tokens_T.length; t++) {
    if (sampledMask_T[t] === 1) advantages_T[t] = row.advantages_T[t] * share * (correction_T?.[t] ?? 1);
  }
  const datum: Datum = { tokens_T, sampledMask_T, logprobs_T, advantages_T };
  if (entropy === 0) return datum;
  const entropyWeights_T = new Float32Array(tokens_T.length);
  for (let t = 1; t < tokens_T.length; t++) if (sampledMask_T[t] === 1) entropyWeights_T[t] = entropy * share;
  return { ...datum, entropyWeights_T };
}
