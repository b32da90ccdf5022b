import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { numberOfTerm, termBlockOf } from "./snapshot.js";

const term = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1 }),
  // Where the orders of UTF-8 and UTF-16 differ.
  fc
    .array(fc.constantFrom("a", "\u00e9", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"), { minLength: 1 })
    .map((list) => list.join("")),
);

describe("a dictionary in one block", () => {
  it("finds every term and no other", () =>
    fc.assert(
      fc.property(fc.uniqueArray(term), fc.array(term), (terms, others) => {
        const numbers = new Map(terms.map((text, number) => [text, number]));
        const block = termBlockOf(numbers);
        for (const text of [...terms, ...others, ""])
          expect(numberOfTerm(block, Buffer.from(text))).toBe(numbers.get(text) ?? -1);
      }),
      { seed: 42 },
    ));
});
