import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { Analyzer, luceneStopWords } from "./analyzer.js";
import { forEachToken, maxTokenLength } from "./tokenizer.js";

const tokens = (text: string): string[] => {
  const found: string[] = [];
  forEachToken(text, (start, end) => found.push(text.slice(start, end)));
  return found;
};

describe("tokenizer", () => {
  it.each<[string, string[]]>([
    ["Lima is the capital.", ["Lima", "is", "the", "capital"]],
    ["O'Neil’s rock-n-roll", ["O'Neil’s", "rock", "n", "roll"]],
    ["U.S.A. and 3.14, 1,000,000", ["U.S.A", "and", "3.14", "1,000,000"]],
    ["a.3 3.a 1,a", ["a", "3", "3", "a", "1", "a"]],
    ["wi-fi e-mail@x.org http://a.b/c?d=1", ["wi", "fi", "e", "mail", "x.org", "http", "a.b", "c", "d", "1"]],
    ["snake_case _x_ __ 4_5", ["snake_case", "_x_", "4_5"]],
    ["key:value 12:30", ["key:value", "12", "30"]],
    ["'quoted' \"word\" dogs'", ["quoted", "word", "dogs"]],
    ["naïve cafe\u0301 Ελλάδα Москва", ["naïve", "cafe\u0301", "Ελλάδα", "Москва"]],
    ["東京タワー ひら 한국어a", ["東", "京", "タワー", "ひ", "ら", "한국어a"]],
    ["สวัสดีครับ", ["สวัสดีครับ"]],
    ["צה\"ל ג'", ['צה"ל', "ג'"]],
    ["\u{1d400}\u{1d401} x\u{1f600}y \ud800z", ["\u{1d400}\u{1d401}", "x", "y", "z"]],
    ["٣٫١٤ ½ №5 C++ .NET", ["٣٫١٤", "5", "C", "NET"]],
  ])("%s", (text, expected) => {
    expect(tokens(text)).toEqual(expected);
  });

  it("equals ICU's word breaks on random text without colons, Japanese and Korean, which Lucene treats its own way", () => {
    const icu = new Intl.Segmenter("en", { granularity: "word" });
    const piece = fc.constantFrom(
      ..."aBz09_'’.,; -\né\"/$%".split(""),
      ...["ω", "й", "א", "ש", "٣", "\u0301", "\u200d", "\u{1d400}"],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const expected = [...icu.segment(text)]
          .map(({ segment }) => segment)
          .filter((word) => /[\p{L}\p{N}]/u.test(word));
        expect(tokens(text)).toEqual(expected);
      }),
      { numRuns: 3000, seed: 5 },
    );
  });

  it("equals Lucene 10.6 on texts of many scripts", () => {
    const lines = readFileSync(new URL("../testdata/lucene-words.tsv", import.meta.url), "utf8")
      .trimEnd()
      .split("\n");
    expect(lines.length).toBeGreaterThan(20);
    for (const [text, ...words] of lines.map((line) => line.split("\t"))) expect(tokens(text)).toEqual(words);
  });

  it("leaves symbols out, of which Lucene makes words", () => {
    expect(tokens("© 2026 Acme™ ★★★ ☐ done ↔ 🦉 👩\u200d🔬 ❤\ufe0f")).toEqual(["2026", "Acme", "done"]);
  });

  it("chops tokens at 255 characters, as Lucene does", () => {
    expect(tokens("x".repeat(600)).map(({ length }) => length)).toEqual([maxTokenLength, maxTokenLength, 90]);
  });
});

describe("analyzer", () => {
  it("is Lucene's English analyzer by default", () => {
    expect(new Analyzer().terms("The Capitals of PERU's neighbours' O'Neil’s")).toEqual([
      "capit",
      "peru",
      "neighbour",
      "o'neil",
    ]);
    expect(luceneStopWords).toHaveLength(33);
    expect(new Analyzer().terms(luceneStopWords.join(" "))).toEqual([]);
  });

  it("lets every part be switched", () => {
    const text = "The Running dog's";
    expect(new Analyzer({ stemmer: "none" }).terms(text)).toEqual(["running", "dog"]);
    expect(new Analyzer({ stopWords: [] }).terms(text)).toEqual(["the", "run", "dog"]);
    expect(new Analyzer({ stopWords: ["dog"] }).terms(text)).toEqual(["the", "run"]);
    expect(new Analyzer({ removePossessives: false }).terms(text)).toEqual(["run", "dog'"]);
    expect(new Analyzer({ lowercase: false, stemmer: "none" }).terms(text)).toEqual(["The", "Running", "dog"]);
  });

  it("says where a term's word stands, whatever lower-casing does", () => {
    const text = "İİ Capitals ΟΔΟΣ of ǅ Lima";
    const analyzer = new Analyzer();
    for (const { term, start, end } of analyzer.tokens(text))
      expect(analyzer.terms(text.slice(start, end))).toEqual([term]);
    expect(analyzer.tokens(text).map(({ start, end }) => text.slice(start, end))).toEqual([
      "İİ",
      "Capitals",
      "ΟΔΟΣ",
      "ǅ",
      "Lima",
    ]);
  });

  it("lower-cases every character to as many characters", () => {
    const analyzer = new Analyzer({ stemmer: "none", stopWords: [] });
    for (let codePoint = 0; codePoint <= 0x1ffff; codePoint++) {
      const text = `a${String.fromCodePoint(codePoint)}Z`;
      const last = analyzer.tokens(text).at(-1);
      if (last?.end !== text.length) throw new Error(`U+${codePoint.toString(16)} moves what follows it`);
    }
  });

  it("refuses settings of the wrong kind", () => {
    expect(() => new Analyzer({ stemmer: "snowball" as "porter" })).toThrow(UserError);
    expect(() => new Analyzer({ stopWords: "the" as unknown as string[] })).toThrow(/stopWords/);
  });
});
