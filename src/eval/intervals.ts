/** @file How sure a measured number is: 95 % intervals of proportions and of means. */
import { Random } from "../random.js";

/** A value with its 95 % interval. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
}

/** 97.5 % quantile of the standard normal. */
const z = 1.959963984540054;

/**
 * Wilson's score interval of a proportion (Wilson 1927, doi:10.2307/2276774): unlike the textbook interval it stays inside
 * [0, 1] and is not of width zero at 0 or n successes. For n = 0 nothing is known: [0, 1].
 */
export function wilson(successes: number, n: number): Estimate {
  if (n === 0) return { value: 0, low: 0, high: 1 };
  const share = successes / n;
  const centre = (share + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n);
  return { value: share, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

/** Mean with the percentile bootstrap's interval (Efron 1979): resamples `values` with replacement. */
export function bootstrapMean(values: readonly number[], options: { seed?: number; samples?: number } = {}): Estimate {
  const { seed = 0, samples = 2000 } = options;
  const value = mean(values);
  if (values.length === 0) return { value: 0, low: 0, high: 0 };
  const random = new Random(seed, "bootstrap");
  const means = Float64Array.from({ length: samples }, () => {
    let sum = 0;
    for (let index = 0; index < values.length; index++) sum += values[random.integer(values.length)];
    return sum / values.length;
  }).sort();
  return { value, low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/** The arithmetic mean; 0 of nothing. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Quantile of sorted values, linear between neighbours. */
function quantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}
