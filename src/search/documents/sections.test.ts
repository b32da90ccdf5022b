import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer } from "../../engine/io/tokenizer.js";
import { smollm2, smollm2IsAbsent, smollm2Reason } from "../../engine/io/smollm2.test-support.js";
import { searchR1Short } from "../../prompts/protocol.js";
import { renderObservation } from "../../prompts/render.js";
import { Analyzer } from "../text/analyzer.js";
import { defaultChunks, type ChunkSettings } from "./chunk.js";
import type { Block } from "./block.js";
import { asShown, passagesOf } from "./sections.js";
import { TokenEstimate } from "./token-estimate.js";

const h = (level: number, text: string, anchor?: string): Block => ({ level, text, anchor });
const p = (text: string, kind?: Block["kind"], anchor?: string): Block => ({ level: 0, text, kind, anchor });
const sentences = (count: number, word = "word"): string =>
  Array.from({ length: count }, (_, place) => `This is the ${word}${place} of the text.`).join(" ");

function cut(blocks: readonly Block[], settings: Partial<ChunkSettings> = {}, url?: string) {
  return passagesOf({ title: "Guide", blocks, url }, "name", { ...defaultChunks, ...settings });
}

describe("titles", () => {
  it("hold the innermost headings that fit; the whole path is the section", () => {
    const long = Array.from({ length: 12 }, (_, place) => `heading${place}`).join(" ");
    const [passage] = cut([h(1, long), h(2, `${long} second`), h(3, "Options"), p("The text.")], { fewest: 0 });
    expect(passage).toEqual({
      title: "Guide › Options",
      text: "The text.",
      section: `${long} › ${long} second › Options`,
    });
  });

  it("are cut between words where they are too long by themselves", () => {
    const long = Array.from({ length: 40 }, (_, place) => `title${place}`).join(" ");
    const [{ title }] = passagesOf({ title: long, blocks: [p("The text.")] }, "x", defaultChunks);
    expect(title).toMatch(/^title0 title1 .*title\d+…$/);
    expect(new TokenEstimate("").of(title)).toBeLessThan(40);
  });
});

describe("small sections", () => {
  it("are merged with neighbours of one parent, their headings in the text", () => {
    const blocks = [
      h(1, "FAQ"),
      p("Short."),
      h(2, "Why?"),
      p("So."),
      h(2, "How?"),
      p("Thus."),
      h(1, "Other"),
      p("End."),
    ];
    const texts = cut(blocks)
      .map(({ text }) => text)
      .join("\n");
    for (const word of ["Short", "Why", "So", "How", "Thus", "End"]) expect(texts.split(word)).toHaveLength(2);
    expect(cut(blocks, { fewest: 0 })).toHaveLength(4);
  });

  it("stay apart where they do not fit one passage", () => {
    expect(cut([h(1, "A"), p(sentences(12)), h(1, "B"), p("Short.")])).toHaveLength(2);
  });
});

describe("what stays together", () => {
  it("a term and what explains it; code and the sentence before it", () => {
    const blocks = [
      p(sentences(10)),
      p("TMOUT", "term"),
      p("Seconds until the shell ends by itself."),
      p(sentences(10)),
    ];
    expect(cut(blocks).some(({ text }) => text.includes("TMOUT\nSeconds until"))).toBe(true);
    const code = Array.from({ length: 9 }, (_, line) => `  call(${line});`).join("\n");
    const pieces = cut([p(sentences(9)), p("Run this command."), p(code, "code")]).map(({ text }) => text);
    expect(pieces.some((text) => text.includes("Run this command.\n\n  call(0);"))).toBe(true);
  });

  it("rows of a table with its header, which each part repeats; lines of code", () => {
    const rows = Array.from({ length: 60 }, (_, row) => p(`option${row} | a value of ${row}. And more`, "row"));
    const pieces = cut([p("name | value", "header"), ...rows]).map(({ text }) => text);
    expect(pieces.length).toBeGreaterThan(3);
    for (const text of pieces) expect(text).toMatch(/^name \| value\noption\d+ \| a value of \d+\. And more/);
    const lines = pieces.flatMap((text) => text.split("\n").slice(1));
    expect(lines).toEqual(rows.map(({ text }) => text));
    const code = Array.from({ length: 60 }, (_, line) => `    run the thing number ${line}. now`);
    expect(cut([p(code.join("\n"), "code")]).flatMap(({ text }) => text.split("\n"))).toEqual(code);
  });
});

it("addresses lead to the nearest place before", () => {
  const blocks = [
    h(1, "A", "a"),
    p(sentences(20)),
    p("term", "term", "t 1"),
    p(sentences(20)),
    h(1, "B"),
    p(sentences(3)),
  ];
  const urls = cut(blocks, {}, "https://x.example/a.html#old").map(({ url }) => url);
  expect(urls[0]).toBe("https://x.example/a.html#a");
  expect(urls).toContain("https://x.example/a.html#t%201");
  expect(urls[urls.length - 1]).toBe("https://x.example/a.html#old");
});

it("Thai is measured in its words, and cut between them", () => {
  const thai = "ภาษาไทยเป็นภาษาที่มีระดับเสียงของคำแน่นอน".repeat(20);
  const pieces = cut([p(thai)], { words: 20, tokens: undefined }).map(({ text }) => text);
  expect(pieces.length).toBeGreaterThan(8);
  expect(pieces.join("")).toBe(thai);
});

it("without overlap every word of a document is in its passages once and in order, but for repeated headers (property)", () => {
  const everyWord = new Analyzer({ lowercase: false, removePossessives: false, stopWords: [], stemmer: "none" });
  const wordsOf = (text: string): string => everyWord.terms(text).join(" ");
  const kinds = fc.constantFrom<Block["kind"]>(undefined, "row", "code", "term");
  const words = fc.array(fc.constantFrom("one", "two.", "three", "x1:\n", "\n\n", "(four)", "five;"), {
    minLength: 1,
    maxLength: 60,
  });
  const block = fc.tuple(fc.constantFrom(0, 0, 0, 1, 2, 3), words, kinds);
  fc.assert(
    fc.property(fc.array(block, { maxLength: 12 }), fc.integer({ min: 5, max: 60 }), (given, most) => {
      // Every word is another one, so that it can be found again.
      let number = 0;
      const blocks = given.map(([level, parts, kind]): Block => {
        const text = parts.map((part) => part.replace(/\w+/, (word) => `${word}${number++}`)).join(" ");
        return level === 0 || text.trim() === ""
          ? p(text, kind)
          : h(level, text.trim().split(/\s+/).slice(0, 6).join(" "));
      });
      const passages = cut(blocks, { words: most, fewest: 8 });
      const source = blocks.map(({ text }) => text).join("\n");
      const texts = wordsOf(passages.map(({ text }) => text).join("\n")).split(" ");
      const wanted = wordsOf(source).split(" ");
      expect(new Set(texts).size).toBe(texts.length);
      expect(texts).toEqual(wanted.filter((word) => texts.includes(word)));
      const all = wordsOf(passages.map(({ title, section = "", text }) => `${title}\n${section}\n${text}`).join("\n"));
      const known = new Set(all.split(" "));
      expect(wanted.filter((word) => !known.has(word))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

it("a passage is measured as Search-R1's protocol shows it", () => {
  const [title, text] = ["Peru", "Lima."];
  expect(asShown(title, text)).toBe(renderObservation(searchR1Short, [{ title, text }]));
});

describe.skipIf(smollm2IsAbsent)(`tokens of SmolLM2${smollm2Reason}`, () => {
  const samples: [language: string, text: string][] = [
    ["English", sentences(40, "thing")],
    [
      "code",
      Array.from({ length: 60 }, (_, n) => `  const userName${n} = await getItem(${n}, { key: "a_b" });`).join("\n"),
    ],
    [
      "German",
      "Alle Menschen sind frei und gleich an Würde und Rechten geboren und sollen einander begegnen. ".repeat(20),
    ],
    ["Russian", "Все люди рождаются свободными и равными в своём достоинстве и правах. ".repeat(6)],
    ["Chinese", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。".repeat(6)],
    ["Thai", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ".repeat(6)],
  ];

  let tokenizer: Awaited<ReturnType<typeof loadTokenizer>>;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(smollm2);
  });

  it.each(samples)("are within the budget where they are estimated: %s", (_language, text) => {
    const counts = cut([p(text)]).map((one) => tokenizer.encode(renderObservation(searchR1Short, [one])).length);
    expect(Math.max(...counts)).toBeLessThanOrEqual(160);
    expect(Math.max(...counts)).toBeGreaterThan(80);
  });

  it("are counted exactly with its tokenizer", () => {
    for (const [, text] of samples.slice(0, 3)) {
      const settings = { ...defaultChunks, words: 1000, tokenizer: smollm2 };
      const passages = passagesOf({ title: "Guide", blocks: [p(text)] }, "x", settings, tokenizer);
      const counts = passages.map((one) => tokenizer.encode(renderObservation(searchR1Short, [one])).length);
      expect(Math.max(...counts)).toBeLessThanOrEqual(160);
      expect(Math.max(...counts)).toBeGreaterThan(110);
    }
  });
});
