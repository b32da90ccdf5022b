import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { bootstrapMean, wilson } from "./intervals.js";

describe("wilson", () => {
  // Newcombe 1998 (doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I, method 3.
  it.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("agrees with Newcombe (1998) for %i of %i", (successes, n, low, high) => {
    const interval = wilson(successes, n);
    expect(interval.low).toBeCloseTo(low, 4);
    expect(interval.high).toBeCloseTo(high, 4);
  });

  it("contains the proportion and stays within [0, 1]", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(500), (n, drawn) => {
        const { value, low, high } = wilson(Math.min(n, drawn), n);
        return low >= 0 && low <= value + 1e-12 && value <= high + 1e-12 && high <= 1;
      }),
    );
  });

  it("knows nothing from nothing", () => expect(wilson(0, 0)).toEqual({ value: 0, low: 0, high: 1 }));
});

describe("bootstrap", () => {
  it("comes near the normal interval of a mean", () => {
    const values = Array.from({ length: 400 }, (_, index) => (index % 4 === 0 ? 1 : 0));
    const { value, low, high } = bootstrapMean(values, { seed: 3 });
    const half = 1.96 * Math.sqrt((0.25 * 0.75) / 400);
    expect(value).toBe(0.25);
    expect(low).toBeCloseTo(0.25 - half, 2);
    expect(high).toBeCloseTo(0.25 + half, 2);
  });

  it("has width 0 where nothing varies", () => expect(bootstrapMean([2, 2, 2])).toEqual({ value: 2, low: 2, high: 2 }));

  it("is the same for the same seed and differs for another", () => {
    const values = [1, 2, 5, 7, 11, 13];
    expect(bootstrapMean(values, { seed: 1 })).toEqual(bootstrapMean(values, { seed: 1 }));
    expect(bootstrapMean(values, { seed: 1, samples: 50 })).not.toEqual(
      bootstrapMean(values, { seed: 2, samples: 50 }),
    );
  });
});
