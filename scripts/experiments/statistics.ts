/** @file How sure a mean over a few seeds is, and a difference between two settings that were run with the same seeds. */
import { mean, type Estimate } from "../../src/eval/intervals.js";

/** 97.5 % quantiles of Student's t for 1, 2, … degrees of freedom; the last also stands for more, a little too wide. */
const quantiles = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131,
];

/** A value, its 95 % interval and what it was computed from. */
export interface SeedEstimate extends Estimate {
  /** Seeds. */
  n: number;
}

/**
 * Mean of one value per seed with Student's 95 % interval. The bootstrap's would be too narrow here: of five values it
 * knows nothing beyond the smallest and the largest. One value has no interval: it is infinite.
 */
export function overSeeds(values: readonly number[]): SeedEstimate {
  const n = values.length;
  const value = n === 0 ? NaN : mean(values);
  if (n < 2) return { value, low: -Infinity, high: Infinity, n };
  const variance = values.reduce((sum, each) => sum + (each - value) ** 2, 0) / (n - 1);
  const half = quantiles[Math.min(n - 1, quantiles.length) - 1] * Math.sqrt(variance / n);
  return { value, low: value - half, high: value + half, n };
}

/**
 * Mean of left − right with Student's 95 % interval, each seed compared with itself: a seed stands for the order of
 * questions and for the test's own draws, which both settings share. Seeds that only one side has are left out.
 */
export function pairedDifference(left: ReadonlyMap<number, number>, right: ReadonlyMap<number, number>): SeedEstimate {
  return overSeeds(
    [...left].flatMap(([seed, value]) => {
      const other = right.get(seed);
      return other === undefined ? [] : [value - other];
    }),
  );
}
