import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { TextTokenizer } from "./text-tokenizer.js";

interface Golden {
  tokenizer: object;
  cases: { texts: [string] | [string, string]; most: number; ids: number[]; types: number[] }[];
}

/** Made by `testdata/tokenizer-golden.py`. */
const golden = JSON.parse(
  readFileSync(new URL("../dense/testdata/tokenizer-golden.json", import.meta.url), "utf8"),
) as Record<"wordPiece" | "unigram", Golden>;

describe.each(["wordPiece", "unigram"] as const)("TextTokenizer, %s", (kind) => {
  const { tokenizer: json, cases } = golden[kind];
  const tokenizer = new TextTokenizer(json);

  it.each(cases.map((given) => [`${JSON.stringify(given.texts).slice(0, 50)} within ${given.most}`, given] as const))(
    "%s: the ids of Hugging Face's tokenizers",
    (_, { texts, most, ids, types }) => {
      const found = texts.length === 1 ? tokenizer.text(texts[0], most) : tokenizer.pair(texts[0], texts[1], most);
      expect(found).toEqual({ ids, types });
    },
  );

  it("a text of megabytes has the tokens of its beginning", () => {
    const beginning = "Owls hunt at night, and owls see well. ".repeat(30);
    const found = tokenizer.text(beginning + "the capital of Peru ".repeat(200_000), 128);
    expect(found).toEqual(tokenizer.text(beginning, 128));
  });

  it("spaces in megabytes hide nothing", () => {
    expect(tokenizer.text(`owl${" ".repeat(1_000_000)}hoots`, 512).ids).toEqual(tokenizer.text("owl hoots", 512).ids);
  });

  it("a word of a megabyte ends too", () => {
    expect(tokenizer.text("a".repeat(1_000_000), 64).ids.length).toBeLessThanOrEqual(64);
  });
});

describe("TextTokenizer", () => {
  it("refuses what is no tokenizer, and post-processors that it does not know", () => {
    expect(() => new TextTokenizer({}, "x/tokenizer.json")).toThrow(UserError);
    const odd = { ...golden.wordPiece.tokenizer, post_processor: { type: "Surprise" } };
    expect(() => new TextTokenizer(odd)).toThrow(/"Surprise" is not supported/);
  });
});
