import { describe, expect, it } from "vitest";
import { joinCutWords } from "./hyphens.js";

describe("joinCutWords", () => {
  it.each([
    ["the same word elsewhere joins", "He ac-\ncepts it. She accepts.", "He accepts it. She accepts."],
    ["so does the word with another ending", "He ac-\ncepts it. I accept.", "He accepts it. I accept."],
    ["so does a part that is no word", "The in-\nformation is new.", "The information is new."],
    [
      "the same compound elsewhere keeps",
      "A short-\nlived one. It is short-lived.",
      "A short-lived one. It is short-lived.",
    ],
    [
      "a compound seen once against a word seen twice",
      "Re-\nsign. re-sign, resign, resign",
      "Resign. re-sign, resign, resign",
    ],
    [
      "two words of the document keep",
      "price-\ndetermining. The price is determining.",
      "price-determining. The price is determining.",
    ],
    [
      "a part of other compounds keeps",
      "well-\nmade. It is well-known that it is made.",
      "well-made. It is well-known that it is made.",
    ],
    ["short words join", "over-\nall. It is over for all.", "overall. It is over for all."],
    ["heads of closed compounds join", "under-\nstand. I stand under it.", "understand. I stand under it."],
    ["compounds of three", "state-of-the-\nart and art", "state-of-the-art and art"],
    ["a cut word in a compound", "well-estab-\nlished and established", "well-established and established"],
    ["names keep", "Jean-\nPaul and E-\nMail", "Jean-Paul and E-Mail"],
    ["capitals join as words do", "an ELE-\nMENT of it", "an ELEMENT of it"],
    ["numbers keep", "a 32-\nbit value from 10-\n20", "a 32-bit value from 10-20"],
    ["U+2010 joins", "a long\u2010\nterm long-term plan", "a longterm long-term plan"],
    ["a soft hyphen joins", "a long\u00ad\nterm plan", "a longterm plan"],
    ["German", "die Wort-\ntrennung, die Nord-\nSüd-Achse", "die Worttrennung, die Nord-Süd-Achse"],
    ["accents that are marks", "cre\u0301-\nation", "cre\u0301ation"],
    ["dashes stay", "so it is -\nnot so --\nhere", "so it is -\nnot so --\nhere"],
    ["list signs stay", "-\none\n-\ntwo", "-\none\n-\ntwo"],
  ])("%s", (_name, text, joined) => {
    expect(joinCutWords([text])).toEqual([joined]);
  });

  it("finds its evidence on other pages, and joins across them", () => {
    expect(joinCutWords(["a long-\nlasting per-", "formance is here. long-lasting"])).toEqual([
      "a long-lasting performance",
      "is here. long-lasting",
    ]);
    expect(joinCutWords(["a per-", "", "formance"])).toEqual(["a per-", "", "formance"]);
  });

  it("takes linear time for a run without spaces", () => {
    const run = `${"a".repeat(200_000)}-\n`;
    const started = performance.now();
    joinCutWords([run.repeat(5) + "b"]);
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
