import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planMicroBatches } from "./micro-batches.js";

const sizes = fc.array(
  fc.record({ length: fc.integer({ min: 1, max: 60 }), lossRows: fc.integer({ min: 0, max: 50 }) }),
);
const limits = fc.record({ tokens: fc.integer({ min: 1, max: 400 }), lossRows: fc.integer({ min: 1, max: 200 }) });

describe("planMicroBatches", () => {
  it("places every sequence with loss once and keeps the limits unless a sequence is alone", () => {
    fc.assert(
      fc.property(sizes, limits, (sequences, bounds) => {
        const batches = planMicroBatches(sequences, bounds);
        const placed = batches.flat().sort((a, b) => a - b);
        expect(placed).toEqual([...sequences.keys()].filter((index) => sequences[index].lossRows > 0));
        for (const batch of batches.filter(({ length }) => length > 1)) {
          const longest = Math.max(...batch.map((index) => sequences[index].length));
          const rows = batch.reduce((sum, index) => sum + sequences[index].lossRows, 0);
          expect(batch.length * longest).toBeLessThanOrEqual(bounds.tokens);
          expect(rows).toBeLessThanOrEqual(bounds.lossRows);
        }
      }),
    );
  });

  it("keeps like lengths together, so that little is padded", () => {
    const sequences = [10, 50, 11, 49, 12, 48].map((length) => ({ length, lossRows: 1 }));
    expect(planMicroBatches(sequences, { tokens: 150, lossRows: 100 })).toEqual([
      [1, 3, 5],
      [4, 2, 0],
    ]);
  });
});
