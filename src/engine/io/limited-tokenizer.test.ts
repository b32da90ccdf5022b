import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { limitedTokenizer } from "./limited-tokenizer.js";
import { gpt2Words } from "./tokenizer-patterns.js";
import { byteLevel, byteLevelDecoder } from "./tokenizer-json.js";
import { trainBpe } from "./train-bpe.js";

const json = trainBpe(["the cat sat on the mat 2024"], { vocabSize: 280, specialTokens: ["<eos>"] });
const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const cutBy = (pattern: string) => ({
  ...json,
  pre_tokenizer: { type: "Sequence", pretokenizers: [split(pattern), byteLevel(false)] },
});
const decodedBy = (pattern: string) => ({
  ...json,
  decoder: {
    type: "Sequence",
    decoders: [byteLevelDecoder, { type: "Replace", pattern: { Regex: pattern }, content: "" }],
  },
});
const plain = { add_special_tokens: false };
/** Milliseconds of work, in any case more than one. */
const long = "the cat sat. ".repeat(20_000);

describe("a tokenizer with patterns of its own", () => {
  const own = `(?:${gpt2Words})`;

  it("gives what one with known patterns gives", () => {
    const text = "the cat sat on  the mat, 20²4 \n\n é";
    const ids = limitedTokenizer(cutBy(gpt2Words), "there").encode(text, plain);
    const limited = limitedTokenizer(cutBy(own), "there");
    expect(limited.encode(text, plain)).toEqual(ids);
    expect(limited.decode(ids)).toBe(text);
    expect(limitedTokenizer(decodedBy("q"), "there").decode(ids)).toBe(text);
  });

  it("is ended when a text takes too long", () => {
    expect(() => limitedTokenizer(cutBy(own), "there", 1).encode(long, plain)).toThrow(UserError);
    expect(() => limitedTokenizer(cutBy(own), "there", 1).encode(long, plain)).toThrow(
      /there: encoding a text of 260000 characters was ended, it took longer than 0\.001 s.*tokenizer\.json from the model's makers/,
    );
    const ids = limitedTokenizer(json, "there").encode(long, plain);
    expect(() => limitedTokenizer(decodedBy("q"), "there", 1).decode(ids)).toThrow(/decoding \d+ tokens was ended/);
  });

  it("a known one has no clock", () => {
    const ids = limitedTokenizer(cutBy(gpt2Words), "there", 1).encode(long, plain);
    expect(limitedTokenizer(json, "there", 1).decode(ids)).toBe(long);
  });
});

describe("a tokenizer that makes texts longer", () => {
  const replace = (pattern: object, content: string) => ({ type: "Replace", pattern, content });
  const normalizedBy = (...normalizers: object[]) => ({ ...json, normalizer: { type: "Sequence", normalizers } });
  const wide = "x".repeat(40);

  it.each([
    ["text by text", [replace({ String: " " }, wide), replace({ String: "x" }, wide)]],
    ["expression by text", [replace({ Regex: "[ab]" }, wide), replace({ Regex: "x" }, wide)]],
    ["between characters", Array.from({ length: 12 }, () => replace({ Regex: "(?=.)" }, "x"))],
    ["of nothing", Array.from({ length: 12 }, () => replace({ Regex: "q*" }, "x"))],
    ["of an empty text", Array.from({ length: 12 }, () => replace({ String: "" }, "x"))],
    ["inside a sequence", [normalizedBy(replace({ String: " " }, wide), replace({ String: " " }, wide)).normalizer]],
  ])("without bounds is refused: %s", (_name, normalizers) => {
    expect(() => limitedTokenizer(normalizedBy(...normalizers), "there")).toThrow(
      /there: its normalizer could make a text more than 1000 times as long/,
    );
  });

  it("a little is not", () => {
    const usual = [
      replace({ String: " " }, "▁"),
      ...Array.from({ length: 30 }, () => replace({ Regex: " {2,}" }, " ")),
      replace({ String: "..." }, "…"),
      replace({ String: "\n" }, "<|newline|>"),
    ];
    expect(limitedTokenizer(normalizedBy(...usual), "there").encode("", plain)).toEqual([]);
  });

  it("or is none at all is refused in words", () => {
    expect(() => limitedTokenizer({ ...json, pre_tokenizer: split("(") }, "there")).toThrow(/there cannot be used/);
    expect(() => limitedTokenizer({ ...json, normalizer: { type: "Sequence", normalizers: 3 } }, "there")).toThrow(
      UserError,
    );
    expect(() =>
      limitedTokenizer({ ...json, pre_tokenizer: { type: "Sequence", pretokenizers: [null] } }, "there"),
    ).toThrow(UserError);
  });
});
