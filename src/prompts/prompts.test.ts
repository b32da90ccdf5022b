import { describe, expect, it } from "vitest";
import { byteTokenizer } from "../policy/testing.js";
import { parseAction, thoughtOf, turnStops } from "./parse.js";
import { atlas, r1, searchR1 } from "./protocol.js";
import { renderFailedSearch, renderObservation, renderPrompt } from "./render.js";

describe("render", () => {
  it("writes Search-R1's observation", () => {
    const passages = [
      { title: '"Evan Morris"', text: "A lobbyist." },
      { title: "T", text: "b" },
    ];
    expect(renderObservation(searchR1, passages)).toBe(
      '\n\n<information>Doc 1(Title: "Evan Morris") A lobbyist.\nDoc 2(Title: T) b\n</information>\n\n',
    );
  });

  it("marks what is empty and what failed", () => {
    expect(renderObservation(atlas, [])).toBe("<information> Nothing found.</information>\n");
    expect(renderFailedSearch(atlas)).toBe("<information> Search failed.</information>\n");
  });

  it("fills templates once: values are never templates", () => {
    expect(renderPrompt(atlas, { question: "{question} $& $1?" })).toBe("Question: {question} $& $1?\n");
    expect(renderObservation(atlas, [{ title: "{text}", text: "{passages}" }])).toContain("({text}) {passages}");
  });
});

describe("the prompts without search", () => {
  it("are the released code's, word for word", () => {
    expect(renderPrompt(r1, { question: "Q?" })).toBe(
      "Answer the given question. You should first have a reasoning process in mind and then provides the answer. Show your reasoning in <think> </think> tags and return the final answer in <answer> </answer> tags, for example <answer> Beijing </answer>. Question: Q?\n",
    );
    expect(renderPrompt(r1, { question: "Q?" }, "{question}")).toBe(
      "Answer the given question with some potentially useful context. You should analyze the question carefully, evaluate the given context (which may or may not be useful), and then generate an accurate and well-reasoned response. You should first have a reasoning process in mind and then provides the answer. Show your reasoning in <think> </think> tags and return the final answer in <answer> </answer> tags, for example <answer> Beijing </answer>. Question: Q? Context: {question} \n",
    );
    expect(() => renderPrompt(searchR1, { question: "Q?" }, "x")).toThrow(/internal: search-r1 has no prompt/);
  });
});

describe("parseAction", () => {
  const cases: [text: string, action: ReturnType<typeof parseAction>][] = [
    ["<search> capital of France </search>", { kind: "search", query: "capital of France" }],
    ["<think>x</think>\n<answer>\nParis\n</answer>", { kind: "answer", answer: "Paris" }],
    ["<answer>a</answer><search>b</search>", { kind: "answer", answer: "a" }],
    ["<search>b</search><answer>a</answer>", { kind: "search", query: "b" }],
    ["<search></search>", { kind: "search", query: "" }],
    ["<answer>  </answer>", { kind: "answer", answer: "" }],
    ["<search>open <answer>a</answer>", { kind: "answer", answer: "a" }],
    ["<answer>open <search>q</search>", { kind: "search", query: "q" }],
    ["<search><search>q</search>", { kind: "search", query: "<search>q" }],
    ["</search> text <search>", { kind: "malformed" }],
    ["<Search>q</Search>", { kind: "malformed" }],
    ["", { kind: "malformed" }],
  ];
  it.each(cases)("%j", (text, action) => {
    expect(parseAction(text, searchR1)).toEqual(action);
  });

  it("knows no search in a protocol without", () => {
    expect(parseAction("<search>b</search><answer>a</answer>", r1)).toEqual({ kind: "answer", answer: "a" });
    expect(parseAction("<search>b</search>", r1)).toEqual({ kind: "malformed" });
  });

  it("takes linear time on unclosed tags", () => {
    expect(parseAction("<search>".repeat(200_000), searchR1)).toEqual({ kind: "malformed" });
  });
});

it.each([
  ["<think> a look </think>\n<search> x </search>", "a look"],
  [" It is Lima. <answer> Lima </answer>", "It is Lima."],
  ["<answer> Lima </answer>", ""],
  ["<think> nothing comes of it", "nothing comes of it"],
])("of the turn %j the thought is %j", (text, thought) => {
  expect(thoughtOf(text, parseAction(text, searchR1), searchR1)).toBe(thought);
});

it("of a turn without tags the thought stands between its tags, and an answer is none", () => {
  const untagged = { ...searchR1, untagged: { stops: [], otherwise: "malformed" } } as const;
  for (const [text, thought] of [
    ["Lima", ""],
    ["<think> Peru. </think> Lima", "Peru."],
  ])
    expect(thoughtOf(text, parseAction(text, untagged), untagged)).toBe(thought);
});

it("turns stop at both closing tags, as a token and spelled out, and at the end of text", () => {
  const tokenizer = byteTokenizer(searchR1);
  const special = (text: string): number => tokenizer.specialTokens.get(text) as number;
  expect(turnStops(tokenizer, searchR1)).toEqual({
    tokens: [256, special("</search>"), special("</answer>")],
    strings: ["</search>", "</answer>"],
  });
  expect(turnStops(tokenizer, searchR1, { pastAnswer: true })).toEqual({
    tokens: [256, special("</search>")],
    strings: ["</search>"],
  });
  expect(turnStops(tokenizer, r1)).toEqual({ tokens: [256, special("</answer>")], strings: ["</answer>"] });
});
