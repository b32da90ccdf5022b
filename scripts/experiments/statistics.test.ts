import { describe, expect, it } from "vitest";
import { bootstrapMean } from "../../src/eval/intervals.js";
import { Random } from "../../src/random.js";
import { overSeeds, pairedDifference } from "./statistics.js";

describe("a mean over seeds", () => {
  it("has Student's interval", () => {
    // scipy.stats.t.interval(0.95, 4, loc=3, scale=sqrt(2.5 / 5)) = (1.0367568, 4.9632432)
    const { value, low, high, n } = overSeeds([1, 2, 3, 4, 5]);
    expect([value, n]).toEqual([3, 5]);
    expect(low).toBeCloseTo(1.0367568, 3);
    expect(high).toBeCloseTo(4.9632432, 3);
  });

  it("says nothing of one value, and nothing at all of none", () => {
    expect(overSeeds([0.4])).toEqual({ value: 0.4, low: -Infinity, high: Infinity, n: 1 });
    expect(overSeeds([])).toMatchObject({ value: NaN, n: 0 });
  });

  it("holds the truth in 95 of 100 cases of five normal values; the bootstrap does not", () => {
    const random = new Random(0, "coverage");
    const cases = 2000;
    const held = { student: 0, bootstrap: 0 };
    for (let index = 0; index < cases; index++) {
      const values = Array.from({ length: 5 }, () => normal(random));
      const student = overSeeds(values);
      const bootstrap = bootstrapMean(values, { seed: index, samples: 200 });
      if (student.low < 0 && student.high > 0) held.student++;
      if (bootstrap.low < 0 && bootstrap.high > 0) held.bootstrap++;
    }
    expect(held.student / cases).toBeGreaterThan(0.935);
    expect(held.student / cases).toBeLessThan(0.965);
    expect(held.bootstrap / cases).toBeLessThan(0.9);
  });
});

describe("a paired difference", () => {
  const bySeed = (...values: number[]): Map<number, number> => new Map(values.map((value, seed) => [seed, value]));

  it("does not see what all runs of a seed share", () => {
    const { value, low, high } = pairedDifference(bySeed(0.3, 0.6, 0.91), bySeed(0.2, 0.5, 0.8));
    expect(value).toBeCloseTo(0.1033, 3);
    expect(low).toBeGreaterThan(0.08);
    expect(high).toBeLessThan(0.13);
  });

  it("leaves out seeds that one side lacks", () => {
    const right = new Map([
      [1, 0.5],
      [7, 0.1],
    ]);
    expect(pairedDifference(bySeed(0.3, 0.6), right)).toMatchObject({ n: 1, value: 0.6 - 0.5 });
  });
});

/** Box and Muller's. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
