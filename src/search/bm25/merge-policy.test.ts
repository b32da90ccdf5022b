import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defaultMergePolicy, planMerge } from "./merge-policy.js";
import type { SegmentSize } from "./merge-policy.js";

const size = (passages: number, deleted = 0): SegmentSize => ({ passages, deleted, postings: passages * 10 });

/** Carries plans out until there is none; returns how many passages were written on the way. */
function settle(segments: SegmentSize[], fanIn = 8, maxPostings = Infinity): number {
  let written = 0;
  for (;;) {
    const plan = planMerge(segments, { ...defaultMergePolicy, fanIn }, maxPostings);
    if (plan === undefined) return written;
    const living = segments.slice(plan.start, plan.end).reduce((sum, one) => sum + one.passages - one.deleted, 0);
    written += living;
    segments.splice(plan.start, plan.end - plan.start, ...(living > 0 ? [size(living)] : []));
  }
}

describe("merge policy", () => {
  it("leaves a few segments and a few deletions alone", () => {
    expect(planMerge([], defaultMergePolicy, 100)).toBeUndefined();
    expect(
      planMerge([size(1_000, 300), ...Array<SegmentSize>(7).fill(size(1))], defaultMergePolicy, 1e9),
    ).toBeUndefined();
  });

  it("merges neighbours of like size, and a large one only with as much again", () => {
    expect(planMerge([size(1_000), ...Array<SegmentSize>(8).fill(size(1))], defaultMergePolicy, 1e9)).toEqual({
      start: 1,
      end: 9,
    });
    expect(planMerge([size(3), size(100), size(9), size(40), size(60)], { fanIn: 5, maxDeleted: 1 }, 1e9)).toEqual({
      start: 0,
      end: 5,
    });
  });

  it("rewrites a segment of which too much is deleted", () => {
    expect(planMerge([size(10), size(10, 4), size(10)], defaultMergePolicy, 1e9)).toEqual({ start: 1, end: 2 });
  });

  it("keeps segments few and the work small, whatever is added", () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 400 }), (additions) => {
        const segments: SegmentSize[] = [];
        let [written, total] = [0, 0];
        for (const passages of additions) {
          segments.push(size(passages));
          total += passages;
          written += settle(segments);
          const tiers = 1 + Math.log(total) / Math.log(8);
          expect(segments.length).toBeLessThanOrEqual(8 * tiers ** 2);
          expect(segments.reduce((sum, one) => sum + one.passages, 0)).toBe(total);
        }
        if (total > 0) expect(written).toBeLessThanOrEqual(total * (1 + Math.log2(total)));
      }),
      { numRuns: 40 },
    ));

  it("makes no segment with more postings than one can hold", () => {
    const segments = Array.from({ length: 20 }, () => size(10));
    settle(segments, 2, 350);
    expect(Math.max(...segments.map(({ postings }) => postings))).toBeLessThanOrEqual(350);
  });
});
