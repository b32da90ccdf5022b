import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planMicroBatches, type MicroBatch, type SequenceSize } from "./micro-batches.js";

const sizes = fc.array(
  fc.record({
    length: fc.integer({ min: 60, max: 90 }),
    lossRows: fc.integer({ min: 0, max: 30 }),
    shareable: fc.option(
      fc.constantFrom(...["a", "b", "c"].map((family) => ({ family, length: 48 + family.charCodeAt(0) - 97 }))),
      {
        nil: undefined,
      },
    ),
  }),
);
const limits = fc.record({ tokens: fc.integer({ min: 1, max: 700 }), lossRows: fc.integer({ min: 1, max: 200 }) });

/** Tokens that a micro-batch computes, padding included. */
function tokensOf({ layout, sequences, copies }: MicroBatch, all: readonly SequenceSize[]): number {
  const members = sequences.map((index) => all[index]);
  if (layout === "plain") return members.length * Math.max(...members.map(({ length }) => length));
  const prefix = Math.max(...members.map(({ shareable }) => shareable?.length ?? NaN));
  const rest = Math.max(...members.map(({ length, shareable }) => length - (shareable?.length ?? NaN)));
  return (members.length / copies) * (prefix + copies * rest);
}

describe("planMicroBatches", () => {
  it("places every sequence with loss once and keeps the limits unless a sequence is alone", () => {
    fc.assert(
      fc.property(sizes, limits, (sequences, bounds) => {
        const batches = planMicroBatches(sequences, bounds);
        const placed = batches.flatMap((batch) => batch.sequences).sort((a, b) => a - b);
        expect(placed).toEqual([...sequences.keys()].filter((index) => sequences[index].lossRows > 0));
        for (const batch of batches.filter((one) => one.sequences.length > 1)) {
          const rows = batch.sequences.reduce((sum, index) => sum + sequences[index].lossRows, 0);
          expect(tokensOf(batch, sequences)).toBeLessThanOrEqual(bounds.tokens);
          expect(rows).toBeLessThanOrEqual(bounds.lossRows);
        }
      }),
    );
  });

  it("puts behind one prefix only what begins alike, in groups of one size", () => {
    let shared = 0;
    fc.assert(
      fc.property(sizes, limits, (sequences, bounds) => {
        for (const { layout, sequences: members, copies } of planMicroBatches(sequences, bounds)) {
          if (layout === "plain") continue;
          shared++;
          expect(members.length % copies).toBe(0);
          for (let start = 0; start < members.length; start += copies) {
            const families = members.slice(start, start + copies).map((index) => sequences[index].shareable?.family);
            expect(new Set(families).size).toBe(1);
            expect(families[0]).toBeDefined();
          }
        }
      }),
    );
    expect(shared).toBeGreaterThan(20);
  });

  it("computes a group's prompt once, and several groups in one run where they fit", () => {
    const group = (family: string) =>
      [100, 110, 120, 105].map((length) => ({ length, lossRows: 9, shareable: { family, length: 80 } }));
    const sequences = [...group("a"), ...group("b")];
    expect(planMicroBatches(sequences, { tokens: 480, lossRows: 100 })).toEqual([
      { layout: "shared", sequences: [2, 1, 3, 0, 6, 5, 7, 4], copies: 4 },
    ]);
    // A group that does not fit whole is cut into equal parts.
    expect(planMicroBatches(group("a"), { tokens: 160, lossRows: 100 })).toEqual([
      { layout: "shared", sequences: [2, 1], copies: 2 },
      { layout: "shared", sequences: [3, 0], copies: 2 },
    ]);
  });

  it("bounds by itself what shares no prompt", () => {
    const alone = [60, 60, 60, 60].map((length) => ({ length, lossRows: 9 }));
    const group = [100, 100].map((length) => ({ length, lossRows: 9, shareable: { family: "a", length: 80 } }));
    const batches = planMicroBatches([...alone, ...group], { tokens: 240, plainTokens: 120, lossRows: 100 });
    expect(batches.map(({ layout, sequences }) => [layout, sequences.length])).toEqual([
      ["shared", 2],
      ["plain", 2],
      ["plain", 2],
    ]);
  });

  it("keeps like lengths together, so that little is padded", () => {
    const sequences = [10, 50, 11, 49, 12, 48].map((length) => ({ length, lossRows: 1 }));
    expect(planMicroBatches(sequences, { tokens: 150, lossRows: 100 }).map((batch) => batch.sequences)).toEqual([
      [1, 3, 5],
      [4, 2, 0],
    ]);
  });
});
