import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { snapshotInMemory } from "./in-memory.js";
import { PassageSet, PassageSets } from "./max-score.js";
import { numberOfTerm } from "./snapshot.js";
import type { IndexSegment } from "./snapshot.js";

describe("a set of passages", () => {
  it("gives every passage its place, as a search of the list does", () =>
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 299 })), fc.nat({ max: 5 }), (passages, skipped) => {
        const list = Uint32Array.from([...Array<number>(skipped).fill(7), ...passages.sort((a, b) => a - b)]);
        const set = new PassageSet(list, skipped, list.length, 300);
        for (let passage = 0; passage < 300; passage++) expect(set.placeOf(passage)).toBe(passages.indexOf(passage));
      }),
      { seed: 41 },
    ));

  it("is made for frequent terms, once, while there is room", () => {
    const text = (number: number): string =>
      `${Array.from({ length: 200 }, (_, word) => `all${word}`).join(" ")} ${number === 3 ? "rare" : ""}`;
    const passages = Array.from({ length: 64 }, (_, number) => ({ id: "", title: "", text: text(number) }));
    const [segment] = snapshotInMemory(passages, {}).segments;
    const sets = new PassageSets(segment);
    const first = sets.of(numberIn(segment, "all0"));
    expect(first).toBeInstanceOf(PassageSet);
    expect(sets.of(numberIn(segment, "rare"))).toBeUndefined();
    const made = Array.from({ length: 200 }, (_, word) => sets.of(numberIn(segment, `all${word}`)));
    expect(made[0]).toBe(first);
    // Sets of a quarter of a byte for each passage, in 32 bytes for each passage.
    expect(made.filter((set) => set !== undefined)).toHaveLength(128);
  });
});

function numberIn({ terms }: IndexSegment, term: string): number {
  return numberOfTerm(terms, Buffer.from(term));
}
