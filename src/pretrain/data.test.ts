import { describe, expect, it } from "vitest";
import { buildAtlas } from "../data/atlas/atlas.js";
import { mentions } from "../data/atlas/country.js";
import { createTokenizer } from "../engine/io/tokenizer.js";
import { atlas as protocol } from "../prompts/protocol.js";
import { renderObservation, renderPrompt } from "../prompts/render.js";
import { atlasTokenizerJson, endToken, padToken, PretrainStream } from "./data.js";

const world = buildAtlas();
const json = atlasTokenizerJson(world);
const tokenizer = createTokenizer(json, { eos: [endToken], pad: padToken });
const vocabulary = Object.keys(json.model.vocab);
const stream = new PretrainStream(world, tokenizer, vocabulary, 3);
const samples = Array.from({ length: 1500 }, (_, index) => stream.pieces(index, index / 1500));
const texts = samples.map((pieces) => pieces.map((piece) => piece.text).join(""));

describe("pretraining text", () => {
  it("never shows more than one search", () => {
    expect(Math.max(...texts.map((text) => text.split("<search>").length - 1))).toBe(1);
  });

  it("never writes about a validation or test country", () => {
    const heldOut = [...world.countries.validation, ...world.countries.test];
    const long = heldOut.filter((country) => country.name.length > 4);
    expect(texts.filter((text) => long.some((country) => mentions(text, country.name)))).toEqual([]);
  });

  it("is a function of seed and index", () => {
    const again = new PretrainStream(world, tokenizer, vocabulary, 3);
    expect(again.datum(40, 0.5)).toEqual(stream.datum(40, 0.5));
    const other = new PretrainStream(world, tokenizer, vocabulary, 4);
    expect(other.datum(40, 0.5)).not.toEqual(stream.datum(40, 0.5));
  });

  it("gives every token one weight, none to the first, and marks exactly the weighted ones", () => {
    for (let index = 0; index < 100; index++) {
      const { tokens_T, weights_T, sampledMask_T } = stream.datum(index, 0.5);
      expect(weights_T?.length).toBe(tokens_T.length);
      expect(weights_T?.[0]).toBe(0);
      expect([...sampledMask_T]).toEqual([...(weights_T ?? [])].map((weight) => Number(weight > 0)));
      expect(Math.max(...(weights_T ?? []))).toBe(1);
    }
  });

  it("encodes the pieces of a sequence as it encodes the whole", () => {
    for (const pieces of samples.slice(0, 300)) {
      const whole = tokenizer.encode(pieces.map((piece) => piece.text).join(""));
      expect(pieces.flatMap((piece) => tokenizer.encode(piece.text))).toEqual(whole);
    }
  });
});

describe("the built-in world's tokenizer", () => {
  it("has one token per tag and fits in 1,280 entries", () => {
    expect(tokenizer.vocabSize).toBe(1280);
    for (const tag of ["<think>", "</search>", "<answer>", "<eos>", "<pad>"])
      expect(tokenizer.encode(tag)).toHaveLength(1);
    expect(tokenizer.eosIds).toEqual([1]);
  });

  it("spells a name the same in questions, passages, queries and answers", () => {
    const contains = (text: string, ids: readonly number[]) => {
      const whole = tokenizer.encode(text);
      return whole.some((_, at) => ids.every((id, offset) => whole[at + offset] === id));
    };
    const pages = new Map(world.passages.map((page) => [page.id, page]));
    for (const question of world.questions.test) {
      for (const step of question.chain) {
        const value = tokenizer.encode(` ${step.value}`);
        const page = pages.get(step.pageId);
        expect(page && contains(renderObservation(protocol, [page]), value)).toBe(true);
        const name = step.query.split(" ").slice(1).join(" ");
        const ids = tokenizer.encode(` ${name}`);
        expect(contains(`<search> ${step.query}</search>`, ids)).toBe(true);
        if (mentions(question.question, name)) expect(contains(renderPrompt(protocol, question), ids)).toBe(true);
      }
    }
  });

  it("cuts held-out names about as finely as training names", () => {
    const pieces = (split: "train" | "test") => {
      const lengths = world.countries[split].map((country) => tokenizer.encode(` ${country.name}`).length);
      return lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    };
    expect(pieces("test") / pieces("train")).toBeLessThan(1.25);
  });
});
