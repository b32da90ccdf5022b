import { describe, expect, it } from "vitest";
import { modelCard } from "./model-card.js";
import { shellWord } from "../printable.js";
import { inlineCode, plainText, pythonText, tableCell, yamlText } from "./card-text.js";

const hostile = "a`b``c\n---\ntags: [x]\u2028| <img src=x> \"); import os #\u202e'$(x)";

describe("names in a model card", () => {
  it("end no line", () => {
    for (const write of [inlineCode, plainText, pythonText, tableCell, yamlText])
      expect(write(hostile)).not.toMatch(/[\n\r\u2028\u202e]/);
  });

  it.each([
    [plainText, "[a](b) *c* <d> my_model-1.5", "\\[a\\](b) \\*c\\* \\<d\\> my_model-1.5"],
    [inlineCode, "plain", "`plain`"],
    [inlineCode, "a`b``c", "``` a`b``c ```"],
    [tableCell, "a|b", "a\\|b"],
    [yamlText, "org/model-1.5", "org/model-1.5"],
    [yamlText, "true", '"true"'],
    [yamlText, "a: b # c", '"a: b # c"'],
    [pythonText, 'x"), y', '"x\\"), y"'],
    [shellWord, "search.k1=1.2", "search.k1=1.2"],
    [shellWord, "it's $(x)", "'it'\\''s $(x)'"],
  ])("%# %s", (write, text, expected) => {
    expect(write(text)).toBe(expected);
  });
});

it("a card of a model with hostile names keeps its shape", () => {
  const facts = {
    kind: "adapter",
    dtype: "f32",
    baseLocation: "nowhere",
    hasChatTemplate: false,
    sleuth: "1.0.0",
  } as const;
  const plain = modelCard({ ...facts, title: "title", base: "runs/base" });
  const card = modelCard({ ...facts, title: `title ${hostile}`, base: `runs/${hostile.replaceAll("/", "")}` });
  expect(card.split("\n").length).toBe(plain.split("\n").length);
  expect(card).toContain("# title a\\`b\\`\\`c --- tags: \\[x\\] | \\<img src=x\\> \"); import os # '$(x)\n");
  expect(card).toContain('from_pretrained("a`b``c --- tags: [x] | <img src=x> \\"); import os # \'$(x)")');
  expect(card).toMatch(/^base_model: "a`b``c --- tags: \[x\] .*"$/m);
});
