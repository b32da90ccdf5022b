/** @file A run's recent past as the detectors see it: what a metric is now, what it used to be, and how much it wavers. */
import { mean } from "../../eval/intervals.js";
import type { MetricLine, MetricName } from "../metrics.js";

/** Steps that make up "now": one of them may be an accident. */
export const recentSteps = 3;

/** Earlier values that a comparison needs. */
const leastPast = 3;

/** A metric over the window. All levels are medians of three neighbouring steps, so that no single step decides. */
export interface Series {
  /** Of the last steps. */
  now: number;
  /** Highest and lowest level held before. */
  highest: number;
  lowest: number;
  /** The median of everything before. */
  usual: number;
  /** Standard deviation of one step around the line through its neighbours: a trend is no noise. */
  noise: number;
}

/**
 * A metric's series; null where the last steps, or those before, have too few values.
 * @param isMeasured which values count; a gradient norm of 0 says that there was nothing to learn
 */
export function seriesOf(
  lines: readonly MetricLine[],
  metric: MetricName,
  isMeasured: (value: number) => boolean = () => true,
): Series | null {
  const valuesOf = (part: readonly MetricLine[]): number[] =>
    part.flatMap((line) => {
      const value = line[metric];
      return value === undefined || !isMeasured(value) ? [] : [value];
    });
  const recent = valuesOf(lines.slice(-recentSteps));
  const past = valuesOf(lines.slice(0, -recentSteps));
  if (recent.length < 2 || past.length < leastPast) return null;
  const levels = past.slice(2).map((_, index) => median(past.slice(index, index + recentSteps)));
  const bends = past.slice(2).map((value, index) => Math.abs(value - 2 * past[index + 1] + past[index]));
  return {
    now: median(recent),
    highest: Math.max(...levels),
    lowest: Math.min(...levels),
    usual: median(past),
    // The median of |a − 2b + c| of normal values is 1.652 standard deviations.
    noise: median(bends) / 1.652,
  };
}

/** The middle value; the mean of the two in the middle of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : mean(sorted.slice(middle - 1, middle + 1));
}
