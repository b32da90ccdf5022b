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

/**
 * The difference of two proportions of the same items, second minus first: Newcombe's interval for paired proportions (1998,
 * doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C, method 10). It joins Wilson's intervals by their correlation, so that it
 * is of width zero nowhere. For no items nothing is known: [-1, 1].
 * @param first whether each item succeeded
 * @param second the same of the other method, in the same order
 */
export function pairedDifference(first: readonly boolean[], second: readonly boolean[]): Estimate {
  const n = first.length;
  const counts = { both: 0, first: 0, second: 0, neither: 0 };
  for (const [index, one] of first.entries())
    counts[second[index] ? (one ? "both" : "second") : one ? "first" : "neither"]++;
  const { value: p, low, high } = wilson(counts.both + counts.first, n);
  const other = wilson(counts.both + counts.second, n);
  const correlation = correlationOf(counts, n);
  const reach = (a: number, b: number): number => Math.sqrt(a * a - 2 * correlation * a * b + b * b);
  const value = other.value - p;
  return {
    value,
    low: Math.max(-1, value - reach(other.value - other.low, high - p)),
    high: Math.min(1, value + reach(other.high - other.value, p - low)),
  };
}

/** The coefficient φ of a two-by-two table, with Newcombe's correction for continuity; 0 where a margin is empty. */
function correlationOf(
  { both, first, second, neither }: { both: number; first: number; second: number; neither: number },
  n: number,
): number {
  const margins = (both + first) * (second + neither) * (both + second) * (first + neither);
  if (margins === 0) return 0;
  const cross = both * neither - first * second;
  return (cross > 0 ? Math.max(0, cross - n / 2) : cross) / Math.sqrt(margins);
}

/** Mean with the percentile bootstrap's interval (Efron 1979): resamples `values` with replacement. */
export function bootstrapMean(values: readonly number[], options: { seed?: number; samples?: number } = {}): Estimate {
  const { seed = 0, samples = 2000 } = options;
  const value = mean(values);
  if (values.length === 0) return { value: 0, low: 0, high: 0 };
  const random = new Random(seed, "bootstrap");
  const cells = cellsOf(values);
  const means = Float64Array.from(
    { length: samples },
    () => resampledSum(cells, values.length, random) / values.length,
  );
  means.sort();
  return { value, low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/** Values that are drawn as one: equal ones, or where too many differ, neighbours. */
interface Cell {
  count: number;
  mean: number;
  /** Within the cell; 0 of equal values. */
  variance: number;
}

/**
 * Most cells. How often each is drawn is multinomial, which takes a binomial number a cell instead of a random number a value. Of up to so many
 * different values nothing is lost; of more, a cell is a 256th of their range, and what is drawn from within it is taken for normal, which
 * moves a mean's interval by less than a thousandth of its width.
 */
const mostCells = 256;

/** The largest first: the others are then often empty. */
function cellsOf(values: readonly number[]): Cell[] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const distinct = [...counts];
  const cells =
    distinct.length <= mostCells
      ? distinct.map(([value, count]) => ({ count, mean: value, variance: 0 }))
      : neighbours(distinct);
  return cells.sort((a, b) => b.count - a.count);
}

function neighbours(distinct: readonly (readonly [value: number, count: number])[]): Cell[] {
  let [low, high] = [Infinity, -Infinity];
  for (const [value] of distinct) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const groups = new Map<number, (readonly [number, number])[]>();
  for (const entry of distinct) {
    const place = Math.min(mostCells - 1, Math.floor(((entry[0] - low) / (high - low)) * mostCells));
    const group = groups.get(place);
    if (group === undefined) groups.set(place, [entry]);
    else group.push(entry);
  }
  return [...groups.values()].map((group) => {
    const total = (of: (value: number) => number): number => group.reduce((sum, [value, n]) => sum + of(value) * n, 0);
    const count = total(() => 1);
    const centre = total((value) => value) / count;
    return { count, mean: centre, variance: total((value) => (value - centre) ** 2) / count };
  });
}

/** The sum of `n` values drawn with replacement. */
function resampledSum(cells: readonly Cell[], n: number, random: Random): number {
  let [sum, withinCells] = [0, 0];
  let [toDraw, among] = [n, n];
  for (const { count, mean: centre, variance } of cells) {
    if (toDraw === 0) break;
    const drawn = count === among ? toDraw : random.binomial(toDraw, count / among);
    sum += drawn * centre;
    withinCells += drawn * variance;
    toDraw -= drawn;
    among -= count;
  }
  return withinCells === 0 ? sum : sum + Math.sqrt(withinCells) * random.normal();
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
