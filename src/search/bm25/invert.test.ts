import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyCharacter } from "../../../test/any-character.js";
import { Analyzer } from "../text/analyzer.js";
import { Inverter, WordNumbers } from "./invert.js";
import type { SortedPostings } from "./invert.js";

const textOf = fc
  .array(fc.constantFrom("lima", "Lima", "owls", "owl", "the", "über", "東京", "l'été", "a_b", "1.5"), {
    maxLength: 12,
  })
  .map((words) => words.join(" "));

/** Postings by counting, without any cleverness. */
function counted(analyzer: Analyzer, texts: readonly string[]): Record<string, [passage: number, frequency: number][]> {
  const postings = new Map<string, [number, number][]>();
  for (const [passage, text] of texts.entries()) {
    const terms = analyzer.terms(`\n${text}`);
    for (const term of new Set(terms)) {
      const list = postings.get(term) ?? [];
      list.push([passage, terms.filter((other) => other === term).length]);
      postings.set(term, list);
    }
  }
  return Object.fromEntries(postings);
}

function asRecord({ terms, counts, passages, frequencies }: SortedPostings): ReturnType<typeof counted> {
  let at = 0;
  return Object.fromEntries(
    terms.map((term, place) => {
      const stretch = Array.from({ length: counts[place] }, () => at++);
      return [term, stretch.map((posting): [number, number] => [passages[posting], frequencies[posting]])];
    }),
  );
}

describe("inverter", () => {
  it("gives every run its own postings, whatever it remembers of earlier ones", () =>
    fc.assert(
      fc.property(fc.array(fc.array(textOf, { maxLength: 5 }), { maxLength: 4 }), fc.nat(6), (runs, remembered) => {
        const analyzer = new Analyzer();
        const inverter = new Inverter(analyzer, remembered);
        for (const texts of runs) {
          for (const text of texts) inverter.add("", text);
          const run = inverter.takeRun();
          expect(asRecord(run)).toEqual(counted(analyzer, texts));
          expect(run.terms).toEqual([...run.terms].sort());
          expect([...run.lengths]).toEqual(texts.map((text) => analyzer.terms(text).length));
          expect(run.totalLength).toBe(run.lengths.reduce((sum, length) => sum + length, 0));
          expect(run.maxFrequency).toBe(Math.max(0, ...run.frequencies));
        }
      }),
    ));
});

describe("numbers of words", () => {
  it("are asked for once for each word that is remembered", () =>
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: anyCharacter, minLength: 1, maxLength: 6 }), { maxLength: 300 }),
        fc.integer({ min: 1, max: 400 }),
        (words, capacity) => {
          const asked: string[] = [];
          const numbers = new WordNumbers((word) => asked.push(word) - 2, capacity);
          for (const word of [...words, ...words]) {
            const number = numbers.numberAt(`<${word}>`, 1, 1 + word.length);
            expect(asked[number + 1]).toBe(word);
          }
          const distinct = new Set(words).size;
          if (distinct <= capacity) expect(asked).toHaveLength(distinct);
        },
      ),
    ));

  it("grow with the words", () => {
    const numbers = new WordNumbers((word) => Number(word));
    for (const turn of [0, 1])
      for (let word = turn; word < 20_000; word++) expect(numbers.numberAt(`${word}`, 0, `${word}`.length)).toBe(word);
  });
});
