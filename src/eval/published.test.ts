/**
 * Published numbers: 1. Rows agree with themselves: printed averages are those of the columns, but for one that is named. 2. What is compared with what.
 */
import { describe, expect, it } from "vitest";
import { mean } from "./intervals.js";
import { published, publishedSets, publishedSetNames, whyNotComparable, type PublishedRow } from "./published.js";

const row = (method: string, model = "Qwen2.5-7B"): PublishedRow =>
  published.find((one) => one.method === method && one.model === model) as PublishedRow;

describe("the rows (1)", () => {
  it("average to what is printed, within rounding; IRCoT with 7B does not", () => {
    const wrong = published.filter(({ values, average }) => {
      const known = values.filter((value) => value !== null);
      return known.length === values.length && average !== null && Math.abs(mean(known) - average) > 0.0011;
    });
    expect(wrong.map(({ method, model, remark }) => [method, model, remark])).toEqual([
      ["IRCoT", "Qwen2.5-7B", expect.stringContaining("0.226")],
    ]);
  });

  it("have a number or nothing for each of the seven sets", () => {
    for (const { values } of published) {
      expect(values).toHaveLength(publishedSetNames.length);
      for (const value of values) expect(value ?? 0.5).toSatisfy((share: number) => share >= 0 && share < 1);
    }
    const total = Object.values(publishedSets).reduce((sum, { questions }) => sum + questions, 0);
    expect(total).toBe(51_713);
  });

  it("are the paper's headline", () => {
    expect(row("Search-R1-base")).toMatchObject({ average: 0.431, as: "search-r1" });
    expect(row("PPO", "Qwen2.5-0.5B").average).toBe(0.238);
  });
});

describe("what is comparable (2)", () => {
  const same = {
    ...{ model: "hf:Qwen/Qwen2.5-7B@abc", method: "rag", set: "nq", questions: 3610 },
    ...{ engine: "http", topK: 3 },
  };
  it.each<[string, Partial<typeof same>, string[]]>([
    ["the same", {}, []],
    ["some questions", { questions: 973 }, ["973 of 3610 questions"]],
    ["another set", { set: "laptop" }, ["another set"]],
    ["another model", { model: "SmolLM2-135M" }, ["another model"]],
    ["another method", { method: "ircot" }, ["another method"]],
    ["other passages", { engine: "bm25" }, ["bm25 where theirs is E5 over Wikipedia of 2018"]],
    ["more of them", { topK: 5 }, ["5 passages a search where theirs are 3"]],
  ])("%s", (_, changes, reasons) => {
    expect(whyNotComparable({ ...same, ...changes }, row("RAG"))).toEqual(reasons);
  });

  it("without search the engine does not matter", () => {
    expect(whyNotComparable({ ...same, method: "direct", engine: "none", topK: 1 }, row("Direct"))).toEqual([]);
  });
});
