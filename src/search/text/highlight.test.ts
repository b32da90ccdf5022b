import fc from "fast-check";
import { expect, it } from "vitest";
import { Analyzer } from "./analyzer.js";
import { highlightMatches, snippet } from "./highlight.js";

const analyzer = new Analyzer({ stemmer: "none", stopWords: [] });
const query = "aa bb cc";
const word = fc.constantFrom("aa", "bb", "cc", "dd", "eeee", "f".repeat(40));

/** The earliest match from which most of the query's terms fit, found by trying each. */
function bestStart(text: string, room: number): number {
  const wanted = new Set(analyzer.terms(query));
  const matches = analyzer.tokens(text).filter(({ term }) => wanted.has(term));
  let best = { start: 0, terms: 0 };
  for (const { start } of matches) {
    const inside = matches.filter((match) => match.start >= start && match.end <= start + room);
    const terms = new Set(inside.map(({ term }) => term)).size;
    if (terms > best.terms) best = { start, terms };
  }
  return best.start;
}

it("a snippet holds as many of the query's terms as any stretch of its length (property)", () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), fc.integer({ min: 5, max: 40 }), (words, maxLength) => {
      const text = words.join(" ");
      const shown = snippet(text, query, analyzer, maxLength);
      expect(shown.length).toBeLessThanOrEqual(maxLength);
      if (text.length <= maxLength) return;
      const start = bestStart(text, maxLength - 2);
      // Near the end it begins earlier, to fill its room.
      const begun = Math.min(start, Math.max(0, text.indexOf(" ", text.length - (maxLength - 2) - 1) + 1));
      const kept = shown.replace(/^…|…$/g, "");
      expect(text.slice(begun).startsWith(kept) || text.slice(start).startsWith(kept)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

it("a snippet of megabytes of matches is found in one pass", () => {
  // By trying each match against all, this would take hours.
  expect(snippet("aa bb ".repeat(500_000), query, analyzer, 60)).toMatch(/^aa bb .*…$/);
});

it("a word is painted however the query spells its letters", () => {
  const paint = (found: string): string => `[${found}]`;
  expect(highlightMatches("Frau Müller", "mu\u0308l\u00adler", analyzer, { paint })).toBe("Frau [Müller]");
});
