import { describe, expect, it } from "vitest";
import { Random } from "./random.js";

describe("binomial", () => {
  // Both algorithms, and the mirrored half.
  it.each([
    [20, 0.1],
    [40, 0.2],
    [1000, 0.3],
    [50_000, 0.0004],
    [50_000, 0.77],
  ])("of %i trials at %d has the distribution's mean, variance and tails", (n, p) => {
    const random = new Random(1, "binomial", n);
    const draws = Array.from({ length: 20_000 }, () => random.binomial(n, p));
    const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length;
    const deviation = Math.sqrt(n * p * (1 - p));
    // Four standard errors.
    expect(Math.abs(mean - n * p)).toBeLessThan((4 * deviation) / Math.sqrt(draws.length));
    expect(variance / deviation ** 2).toBeCloseTo(1, 1);
    expect(draws.every((value) => Number.isInteger(value) && value >= 0 && value <= n)).toBe(true);
    const beyond = draws.filter((value) => Math.abs(value - n * p) > 2 * deviation).length / draws.length;
    expect(beyond).toBeGreaterThan(0.02);
    expect(beyond).toBeLessThan(0.075);
  });

  it("is certain where there is nothing to chance", () => {
    const random = new Random(1);
    expect([random.binomial(0, 0.5), random.binomial(9, 0), random.binomial(9, 1)]).toEqual([0, 0, 9]);
  });
});
