/** @file Two sides measured in turns, and how sure the ratio between them is. */
import type { Estimate } from "../../src/eval/intervals.js";

/** Speeds by the name of their line: more is faster. */
export type Speeds = Readonly<Record<string, number>>;

/**
 * Ratios ours ÷ theirs of so many pairs, by line, after one pair that does not count. Which side begins alternates, so that neither always
 * finds the machine as the other left it.
 */
export async function pairedRatios(
  pairs: number,
  sides: { ours: () => Promise<Speeds>; theirs: () => Promise<Speeds> },
  onPair: (pair: number, ratios: Speeds) => void = () => undefined,
): Promise<Record<string, number[]>> {
  const all: Record<string, number[]> = {};
  for (let pair = 0; pair <= pairs; pair++) {
    const first = pair % 2 === 0 ? await sides.ours() : undefined;
    const theirs = await sides.theirs();
    const ours = first ?? (await sides.ours());
    if (pair === 0) continue;
    const ratios = Object.fromEntries(Object.entries(ours).map(([line, speed]) => [line, speed / theirs[line]]));
    for (const [line, ratio] of Object.entries(ratios)) (all[line] ??= []).push(ratio);
    onPair(pair, ratios);
  }
  return all;
}

/**
 * The median with the interval between two order statistics that holds it with at least 95 % probability, whatever the distribution
 * (Thompson 1936, doi:10.1214/aoms/1177732502). Below 6 values no such interval exists: the whole range is given.
 */
export function medianWithInterval(values: readonly number[]): Estimate {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  let outside = 0;
  let rank = 0;
  // P(fewer than `rank` + 1 values lie below the median) must stay within 2.5 % on each side.
  for (let term = 0.5 ** n; rank < n / 2; rank++) {
    if (outside + term > 0.025) break;
    outside += term;
    term *= (n - rank) / (rank + 1);
  }
  const cut = Math.max(0, rank - 1);
  const value = n % 2 === 1 ? sorted[n >> 1] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  return { value, low: sorted[cut], high: sorted[n - 1 - cut] };
}
