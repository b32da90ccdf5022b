import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TopK } from "./top-k.js";

/** Few different scores, so that many are equal. */
const scores = fc.array(fc.integer({ min: -4, max: 4 }), { maxLength: 60 });

function offered(numbers: readonly number[], capacity: number, order: readonly number[]): TopK {
  const best = new TopK(capacity, -Infinity);
  for (const item of order) best.offer(item, numbers[item]);
  return best;
}

describe("the best k", () => {
  it("are those of sorting everything, whatever the order; of equal scores the lower number comes first", () =>
    fc.assert(
      fc.property(
        scores.chain((numbers) =>
          fc.record({
            numbers: fc.constant(numbers),
            order: fc.shuffledSubarray([...numbers.keys()], { minLength: numbers.length }),
            capacity: fc.integer({ min: 1, max: 12 }),
          }),
        ),
        ({ numbers, order, capacity }) => {
          const expected = numbers
            .map((score, item) => ({ item, score }))
            .sort((a, b) => b.score - a.score || a.item - b.item)
            .slice(0, capacity);
          const best = offered(numbers, capacity, order);
          expect(best.sorted()).toEqual(expected);
          expect([...best.scores()]).toEqual(expected.map(({ score }) => score));
          expect(best.threshold).toBe(expected.length < capacity ? -Infinity : expected[capacity - 1].score);
        },
      ),
      { seed: 43 },
    ));

  it("may be none", () => {
    expect(new TopK(3).sorted()).toEqual([]);
    expect(new TopK(3).threshold).toBe(0);
  });
});
