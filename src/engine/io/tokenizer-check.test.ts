import { expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { checkTokenizerJson } from "./tokenizer-check.js";

const whole = {
  model: { type: "BPE", vocab: { a: 0, b: 1 }, merges: [["a", "b"], "a b"] },
  added_tokens: [{ id: 1, content: "b" }],
  pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Digits" }] },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "b", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    special_tokens: { b: { id: "b", ids: [1], tokens: ["b"] } },
  },
};

it("takes what tokenizers are like, pieces with scores too", () => {
  checkTokenizerJson(whole, "tokenizer.json");
  checkTokenizerJson({ model: { type: "Unigram", vocab: [["a", -1.5]] }, added_tokens: null }, "tokenizer.json");
});

it.each([
  { added_tokens: {} },
  { added_tokens: [null] },
  { added_tokens: [{ id: -1, content: "b" }] },
  { added_tokens: [{ id: "1", content: "b" }] },
  { model: null },
  { model: { vocab: 5 } },
  { model: { vocab: { a: 0.5 } } },
  { model: { vocab: { a: "0" } } },
  { model: { vocab: [["a"]] } },
  { model: { vocab: { a: 0 }, merges: [["a"]] } },
  { post_processor: { type: "TemplateProcessing", single: [null] } },
  { post_processor: { type: "TemplateProcessing", special_tokens: { b: { ids: {} } } } },
  { post_processor: { type: "BertProcessing", cls: ["b", null], sep: ["b", 1] } },
  { normalizer: { type: "Sequence", normalizers: [5] } },
])("refuses %j by name", (change) => {
  expect(() => checkTokenizerJson({ ...whole, ...change }, "tokenizer.json")).toThrow(UserError);
  expect(() => checkTokenizerJson({ ...whole, ...change }, "tokenizer.json")).toThrow(/^tokenizer\.json /);
});
