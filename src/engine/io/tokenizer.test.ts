import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anyCharacter } from "../../../test/any-character.js";
import { createTokenizer, loadTokenizer } from "./tokenizer.js";
import { byteCharacters, trainBpe } from "./train-bpe.js";

const texts = ["the cat sat on the mat 2024", "a cat and the hat <tag> the cat", "Lima is the capital of Peru."];
const json = trainBpe(texts, { vocabSize: 300, specialTokens: ["<pad>", "<eos>", "<tag>"] });
const tokenizer = createTokenizer(json, { eos: ["<eos>"], pad: "<pad>" });

describe("byte-level BPE", () => {
  it("round-trips any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        // Half a surrogate pair has no UTF-8 form.
        fc.pre(!/\p{Surrogate}/u.test(text));
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });

  it("round-trips special tokens, each as one id", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("<tag>", "<eos>", " Peru", "x", "\n", "é")), (parts) => {
        const text = parts.join("");
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(ids.filter((id) => id === 2)).toHaveLength(parts.filter((part) => part === "<tag>").length);
      }),
    );
  });

  it("merges the commonest pair first and breaks ties by the lower ids", () => {
    const tiny = trainBpe(["ab ab ab", "cd cd cd"], { vocabSize: 259, specialTokens: [] });
    expect(tiny.model.merges.slice(0, 3)).toEqual([
      ["a", "b"],
      ["c", "d"],
      ["Ġ", "ab"],
    ]);
    expect(trainBpe(texts, { vocabSize: 300, specialTokens: ["<pad>", "<eos>", "<tag>"] })).toEqual(json);
  });

  it("never merges across digits, special tokens or rare pairs", () => {
    expect(tokenizer.encode(" 2024").length).toBe(5);
    expect(Object.keys(json.model.vocab).filter((piece) => piece.includes("tag>"))).toEqual(["<tag>"]);
    expect(trainBpe(["once"], { vocabSize: 300, specialTokens: [] }).model.merges).toEqual([]);
  });

  it("gives every byte its own visible character", () => {
    const characters = byteCharacters();
    expect(new Set(characters).size).toBe(256);
    expect([characters[0], characters[32], characters[65], characters[173]]).toEqual(["Ā", "Ġ", "A", "Ń"]);
  });
});

describe("the tokenizer loader", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "sleuth-tokenizer-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("reads ends of text and padding from the neighbouring files", async () => {
    await writeFile(path.join(folder, "tokenizer.json"), JSON.stringify(json));
    await writeFile(
      path.join(folder, "tokenizer_config.json"),
      '{"eos_token":{"content":"<eos>"},"pad_token":"<pad>"}',
    );
    await writeFile(path.join(folder, "generation_config.json"), '{"eos_token_id":[1,2]}');
    const loaded = await loadTokenizer(folder);
    expect({ eos: loaded.eosIds, pad: loaded.padId, size: loaded.vocabSize }).toEqual({
      eos: [1, 2],
      pad: 0,
      size: Object.keys(json.model.vocab).length,
    });
    expect(loaded.specialTokens.get("<tag>")).toBe(2);
  });

  it("hands out copies, so that nobody can spoil the cache", () => {
    tokenizer.encode(" cat").push(7);
    expect(tokenizer.encode(" cat")).not.toContain(7);
  });

  it("reads vocabularies of pieces with scores", async () => {
    const unigram = {
      ...json,
      pre_tokenizer: null,
      added_tokens: [],
      model: {
        type: "Unigram",
        unk_id: 0,
        vocab: [
          ["<unk>", 0],
          ["a", -1],
          ["b", -2],
          ["ab", -1.5],
        ],
      },
    };
    const pieces = createTokenizer(unigram, { eos: ["ab"] });
    expect([pieces.vocabSize, pieces.eosIds]).toEqual([4, [3]]);
    expect(pieces.encode("aab")).toEqual([1, 3]);
  });

  it("says what is wrong with a folder", async () => {
    await expect(loadTokenizer(path.join(folder, "none"))).rejects.toThrow(/tokenizer\.json/);
    await writeFile(path.join(folder, "tokenizer.json"), "{");
    await expect(loadTokenizer(folder)).rejects.toThrow(/not valid JSON/);
    await writeFile(path.join(folder, "tokenizer.json"), "{}");
    await expect(loadTokenizer(folder)).rejects.toThrow(/no model vocabulary/);
    const unknown = { ...json, pre_tokenizer: { type: "Telepathy" } };
    expect(() => createTokenizer(unknown, { eos: [] }, "x/tokenizer.json")).toThrow(
      /x\/tokenizer.json cannot be used: .*Telepathy/,
    );
    expect(() => createTokenizer(json, { eos: ["</s>"] })).toThrow(/lacks the token "<\/s>"/);
  });
});
