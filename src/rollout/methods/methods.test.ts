/**
 * The methods, on scripted policies, for models that read instructions and for those raised on the tags:
 *  1. What each lets happen: turns, searches, and how the answer is read.
 *  2. What they make of the settings.
 */
import { describe, expect, it } from "vitest";
import { atlas, searchR1, searchR1Short } from "../../prompts/protocol.js";
import { r1 } from "../../prompts/protocol.js";
import { engineOf, options, passage, question, story } from "../fixtures.test-support.js";
import { rollout } from "../rollout.js";
import type { RolloutOptions } from "../rollout.js";
import { contextOf, methodNames, methods, methodSettings, searchesAtAll, type MethodName } from "./named.js";

const given = (method: MethodName, protocol: "search-r1" | "atlas", maxSearches = 2) =>
  methodSettings({ method, protocol, context: "none", maxSearches });
const attempt = (
  method: MethodName,
  protocol: "search-r1" | "atlas",
  script: readonly string[],
  changes: Partial<RolloutOptions> = {},
) => {
  const { protocol: made, context, maxSearches } = given(method, protocol);
  const search = engineOf((query) => [passage(`about ${query}`)]);
  return rollout(question, options(script, { protocol: made, context, maxSearches, search, ...changes }));
};

interface Case {
  method: MethodName;
  protocol: "search-r1" | "atlas";
  script: readonly string[];
  /** Null where none is read. */
  answer: string | null;
  /** Queries. */
  searches?: readonly string[];
  finish?: string;
}

const asked = question.question;
const cases: Case[] = [
  // Direct: the first line is the answer, tagged or not; a thought is none.
  { method: "direct", protocol: "search-r1", script: ["Paris"], answer: "Paris" },
  { method: "direct", protocol: "search-r1", script: ["\n Paris \nQuestion: …"], answer: "Paris" },
  { method: "direct", protocol: "search-r1", script: ["I say <answer> Paris </answer>"], answer: "Paris" },
  { method: "direct", protocol: "search-r1", script: ["<think> Lyon? </think> Paris"], answer: "Paris" },
  { method: "direct", protocol: "search-r1", script: ["<search> q </search>"], answer: null, finish: "malformed" },
  { method: "direct", protocol: "search-r1", script: [" \n "], answer: null, finish: "malformed" },
  { method: "direct", protocol: "atlas", script: [" Paris </answer>"], answer: "Paris" },
  { method: "direct", protocol: "atlas", script: [" Paris"], answer: "Paris" },
  // Chain of thought: one turn to think, and the answer is begun.
  { method: "cot", protocol: "search-r1", script: ["France … So the answer is: Paris"], answer: "Paris" },
  { method: "cot", protocol: "search-r1", script: ["It is in France.", " Paris\nI am sure"], answer: "Paris" },
  { method: "cot", protocol: "search-r1", script: ["the Answer is Lyon. No: the answer is Paris"], answer: "Paris" },
  { method: "cot", protocol: "atlas", script: ["<think> France </think>", " Paris </answer>"], answer: "Paris" },
  { method: "cot", protocol: "atlas", script: ["<answer> Paris </answer>"], answer: "Paris" },
  // RAG: the question is the query.
  { method: "rag", protocol: "search-r1", script: ["Paris"], answer: "Paris", searches: [asked] },
  {
    method: "rag",
    protocol: "atlas",
    script: ["<think> It says Paris </think>", " Paris </answer>"],
    answer: "Paris",
    searches: [asked],
  },
  {
    method: "rag",
    protocol: "atlas",
    script: ["<search> more </search>", " Paris </answer>"],
    answer: "Paris",
    searches: [asked],
  },
  // IRCoT: thoughts are queries.
  {
    method: "ircot",
    protocol: "search-r1",
    script: [" France is a country.\n", " So the answer is: Paris\n"],
    answer: "Paris",
    searches: [asked, "France is a country."],
  },
  {
    method: "ircot",
    protocol: "search-r1",
    script: ["One.\n", "Two.\n", " Paris\n"],
    answer: "Paris",
    searches: [asked, "One.", "Two."],
  },
  { method: "ircot", protocol: "search-r1", script: ["\n"], answer: null, searches: [asked], finish: "malformed" },
  {
    method: "ircot",
    protocol: "atlas",
    script: ["<think> I need the capital </think>", "<think> Found </think>", " Paris </answer>"],
    answer: "Paris",
    searches: [asked, "I need the capital", "Found"],
  },
  {
    method: "ircot",
    protocol: "atlas",
    script: ["<search> capital </search>", "<answer> Paris </answer>"],
    answer: "Paris",
    searches: [asked, "capital"],
  },
  // R1: tags, no search.
  { method: "r1", protocol: "search-r1", script: ["<think> x </think><answer> Paris </answer>"], answer: "Paris" },
  { method: "r1", protocol: "search-r1", script: ["Paris"], answer: null, finish: "malformed" },
  { method: "r1", protocol: "atlas", script: ["<search> q </search>"], answer: null, finish: "out-of-turns" },
  // Closed book: the own prompt, the answer begun.
  { method: "closed-book", protocol: "search-r1", script: [" Paris </answer>"], answer: "Paris" },
  { method: "closed-book", protocol: "search-r1", script: ["<answer> Paris </answer>"], answer: "Paris" },
  { method: "closed-book", protocol: "atlas", script: [" Paris\n<search> q"], answer: "Paris" },
  { method: "closed-book", protocol: "atlas", script: [" Paris.</information>\n<think> x </think>"], answer: "Paris." },
  // Bounds with oracle passages: as RAG, and as the loop. (The passages are another part's business.)
  { method: "oracle", protocol: "search-r1", script: ["Paris"], answer: "Paris", searches: [asked] },
  {
    method: "oracle-search",
    protocol: "search-r1",
    script: ["<search> q </search>", "<answer> Paris </answer>"],
    answer: "Paris",
    searches: ["q"],
  },
  { method: "search-r1", protocol: "atlas", script: [" Paris </answer>"], answer: null, finish: "malformed" },
];

describe("what happens (1)", () => {
  it.each(cases)(
    "$method, $protocol: $script",
    async ({ method, protocol, script, answer, searches = [], finish = "answered" }) => {
      const trajectory = await attempt(method, protocol, script);
      expect(trajectory).toMatchObject({ answer, finishReason: finish });
      expect(trajectory.searches.map(({ query }) => query)).toEqual(searches);
    },
  );

  it("what is written for the policy is the environment's", async () => {
    expect(story(await attempt("cot", "search-r1", ["Hm.", " Paris"])).slice(1)).toEqual([
      "policy: Hm.",
      "environment: \nSo the answer is:",
      "policy:  Paris",
    ].map((line) => expect.stringContaining(line) as string)); // prettier-ignore
    const [prompt, begun, written] = story(await attempt("direct", "atlas", [" Paris </answer>"]));
    expect([prompt, begun, written]).toEqual([
      "prompt: Question: Capital of France?\n",
      "environment: <answer>",
      "policy:  Paris </answer>",
    ]);
  });

  it("passages stand in the prompt of RAG, and behind the thoughts of IRCoT", async () => {
    const [prompt] = story(await attempt("rag", "search-r1", ["Paris"]));
    expect(prompt).toMatch(/^prompt: Answer .*\nDoc 1\(Title: T\) about Capital of France\?\n\nQuestion: /s);
    const lines = story(await attempt("ircot", "search-r1", ["One.\n", "So the answer is: Paris\n"]));
    expect(lines[0]).toContain("Doc 1(Title: T) about Capital of France?");
    expect(lines[2]).toBe("environment: \nDoc 1(Title: T) about One.\n\nThought:");
  });

  it("the row keeps its limit where nothing can be begun", async () => {
    const { protocol } = given("closed-book", "atlas");
    for (let maxTokens = 30; maxTokens < 60; maxTokens++) {
      const { segments } = await rollout(
        question,
        options([" Paris </answer>"], { protocol, maxSearches: 0, maxTokens }),
      );
      expect(segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0)).toBeLessThanOrEqual(maxTokens);
    }
  });
});

describe("what they make of the settings (2)", () => {
  it("Search-R1 leaves them as they are", () => {
    const settings = { method: "search-r1", protocol: "search-r1-short", context: "question", maxSearches: 3 } as const;
    expect(methodSettings(settings)).toEqual({
      protocol: searchR1Short,
      context: "question",
      maxSearches: 3,
      oracle: false,
    });
  });

  it("a protocol is made once", () => {
    for (const method of methodNames)
      for (const protocol of ["atlas", "search-r1"] as const)
        expect(given(method, protocol).protocol).toBe(given(method, protocol).protocol);
    expect(given("r1", "search-r1").protocol).toBe(r1);
    expect(given("r1", "atlas").protocol).toBe(atlas);
    expect(given("oracle-search", "search-r1").protocol).toBe(searchR1);
  });

  it.each<[MethodName, boolean, "none" | "question"]>([
    ["search-r1", true, "none"],
    ["direct", false, "none"],
    ["cot", false, "none"],
    ["rag", true, "question"],
    ["ircot", true, "question"],
    ["r1", false, "none"],
    ["closed-book", false, "none"],
    ["oracle", true, "question"],
    ["oracle-search", true, "none"],
  ])("%s searches: %s, context: %s", (method, searches, context) => {
    expect(searchesAtAll({ method, context: "none", maxSearches: 2 })).toBe(searches);
    expect(contextOf({ method, context: "none" })).toBe(context);
    expect(methods[method].help).not.toBe("");
  });
});
