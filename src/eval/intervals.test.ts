import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { Random } from "../random.js";
import { bootstrapMean, pairedDifference, wilson } from "./intervals.js";

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

describe("pairedDifference", () => {
  /** Items by how they fared with the one and the other. */
  const table = (both: number, first: number, second: number, neither: number): [boolean[], boolean[]] => {
    const of = (...marks: [number, boolean][]): boolean[] =>
      marks.flatMap(([times, mark]) => new Array<boolean>(times).fill(mark));
    return [
      of([both, true], [first, true], [second, false], [neither, false]),
      of([both, true], [first, false], [second, true], [neither, false]),
    ];
  };

  it("is the difference of the shares, second minus first", () => {
    const { value, low, high } = pairedDifference(...table(20, 2, 12, 16));
    expect(value).toBeCloseTo(0.2, 12);
    expect([low, high]).toEqual([expect.closeTo(0.0562, 3), expect.closeTo(0.3292, 3)]);
  });

  it("is narrower than for items that have nothing to do with each other", () => {
    const width = ({ low, high }: { low: number; high: number }): number => high - low;
    expect(width(pairedDifference(...table(45, 0, 10, 45)))).toBeLessThan(
      0.7 * width(pairedDifference(...table(25, 20, 30, 25))),
    );
  });

  it.each([
    [0, 0, 0, 0, -1, 1],
    [3, 0, 0, 0, -0.562, 0.562],
    [0, 0, 3, 0, 0.206, 1],
  ])("claims no more than %i, %i, %i, %i items can say", (both, first, second, neither, low, high) => {
    const found = pairedDifference(...table(both, first, second, neither));
    expect([found.low, found.high]).toEqual([expect.closeTo(low, 2), expect.closeTo(high, 2)]);
  });

  it("holds the true difference about 95 times in a hundred", () => {
    const random = new Random(7, "paired");
    let held = 0;
    for (let trial = 0; trial < 400; trial++) {
      const first = Array.from({ length: 60 }, () => random.next() < 0.5);
      // A success is kept with 0.9, a failure mended with 0.3: 0.6 in the end.
      const second = first.map((one) => random.next() < (one ? 0.9 : 0.3));
      const { low, high } = pairedDifference(first, second);
      if (low <= 0.1 && 0.1 <= high) held++;
    }
    expect(held / 400).toBeGreaterThan(0.92);
    expect(held / 400).toBeLessThan(0.985);
  });
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

  it("has the interval of resamples drawn value by value, for few values and for many", () => {
    const random = new Random(5, "values");
    const few = Array.from({ length: 500 }, () => [0, 0.25, 1, 3][random.integer(4)]);
    const many = Array.from({ length: 2000 }, () => Math.exp(1.5 * random.normal()));
    for (const values of [few, many]) {
      const means = Array.from({ length: 4000 }, () => {
        let sum = 0;
        for (let draw = 0; draw < values.length; draw++) sum += values[random.integer(values.length)];
        return sum / values.length;
      }).sort((one, other) => one - other);
      const { low, high } = bootstrapMean(values, { samples: 4000 });
      const width = means[3900] - means[100];
      expect(Math.abs(low - means[100])).toBeLessThan(0.04 * width);
      expect(Math.abs(high - means[3900])).toBeLessThan(0.04 * width);
    }
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
