import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyCharacter } from "../../../test/any-character.js";
import { Analyzer } from "../text/analyzer.js";
import { countWords, cutText } from "./chunk.js";

const everyWord = new Analyzer({ lowercase: false, removePossessives: false, stopWords: [], stemmer: "none" });
const wordsOf = (texts: readonly string[]): string[] => texts.flatMap((text) => everyWord.terms(text));

/** The words one after another: the tokenizer leaves runs of Thai whole, which are cut between their words. */
const spelled = (texts: readonly string[]): string => wordsOf(texts).join("");

const anyText = fc
  .array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.constantFrom("one", "two.", "three", "it's", "3.14", "(four)", "“five.”", "six!", "e.g."),
      },
      { weight: 6, arbitrary: fc.constant(" ") },
      { weight: 2, arbitrary: fc.constantFrom("\n", "\n\n", "\t", "\n  \n", ", ", " — ") },
      {
        weight: 1,
        arbitrary: fc.constantFrom("利马是秘鲁的首都。", "ภาษาไทย", "=".repeat(700), "👩‍👩‍👧", "x".repeat(600)),
      },
      { weight: 1, arbitrary: fc.string({ unit: anyCharacter, maxLength: 6 }) },
    ),
    { maxLength: 150 },
  )
  .map((parts) => parts.join(""));

describe("cutText", () => {
  it("keeps every word, in order and once (property)", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 30 }), (text, words) => {
        expect(spelled(cutText(text, { words, overlap: 0 }))).toBe(spelled([text]));
        expect(spelled(cutText(text, { words: 100, tokens: words, overlap: 0 }))).toBe(spelled([text]));
      }),
      { numRuns: 300 },
    );
  });

  it("keeps to the budget, and every passage has a word and room for no more than it needs (property)", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 29 }), (text, words, overlap) => {
        for (const passage of cutText(text, { words, overlap: Math.min(overlap, words - 1) })) {
          const count = countWords(passage);
          expect(count).toBeGreaterThan(0);
          // Overlap goes back to the beginning of what is written together, and the budget counts from there.
          expect(count).toBeLessThanOrEqual(words);
          if (count > 1) expect(passage.length).toBeLessThanOrEqual(words * 60 + 255);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("prefers the ends of paragraphs, then of sentences, then of lines", () => {
    const cut = (text: string, words: number): string[] => cutText(text, { words, overlap: 0 });
    expect(cut("One two three. Four.\n\nFive six. Seven eight nine ten.", 6)).toEqual([
      "One two three. Four.",
      "Five six. Seven eight nine ten.",
    ]);
    expect(cut("One two three four. Five six seven.", 6)).toEqual(["One two three four.", "Five six seven."]);
    expect(cut("one two three\nfour five six", 5)).toEqual(["one two three", "four five six"]);
    expect(cut("one two three four five", 2)).toEqual(["one two", "three four", "five"]);
    expect(cut("well-known state-of-the-art things", 3)).toEqual(["well-known", "state-of-the-", "art things"]);
    expect(cut("利马是秘鲁的首都", 3)).toEqual(["利马是", "秘鲁的", "首都"]);
  });

  it("leaves what fits whole, and drops what has no word", () => {
    expect(cutText("  One. Two.\n\nThree.  ", { words: 3, overlap: 0 })).toEqual(["One. Two.\n\nThree."]);
    expect(cutText(" ***\n\n---\n", { words: 3, overlap: 0 })).toEqual([]);
  });

  it("repeats as many words as it is told", () => {
    expect(cutText("a1 b2 c3 d4 e5 f6 g7", { words: 3, overlap: 1 })).toEqual(["a1 b2 c3", "c3 d4 e5", "e5 f6 g7"]);
  });
});
