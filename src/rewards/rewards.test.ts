import { describe, expect, it } from "vitest";
import { searchR1 } from "../prompts/protocol.js";
import type { Question, SearchCall, Trajectory } from "../types.js";
import { combineRewards, rewardsFor } from "./combine.js";
import { exactMatch, matchesAnswer } from "./exact-match.js";
import { isWellFormed, searchR1FormatReward } from "./format.js";
import { normaliseAnswer } from "./normalise.js";
import { repeatedQueries, searchCost } from "./search-cost.js";

const question: Question = { id: "q", question: "Capital of France?", answers: ["Paris", "City of Paris"] };

function searchCall(query: string, text: string): SearchCall {
  return {
    query,
    passages: [{ id: "1", title: "T", text, score: 1 }],
    omittedPassages: 0,
    neutralised: 0,
    waitedMs: 0,
  };
}

/** A trajectory of these policy turns, each but the last answered by the environment. */
function trajectoryOf(turns: string[], answer: string | null, searches: SearchCall[] = []): Trajectory {
  const texts = [
    "prompt <answer> Beijing </answer>",
    ...turns.flatMap((turn) => [turn, "<information>x</information>"]),
  ];
  texts.pop();
  return {
    questionId: "q",
    segments: texts.map((_, index) => ({
      role: index === 0 ? "prompt" : index % 2 === 1 ? "policy" : "environment",
      tokens_T: [index],
    })),
    searches,
    answer,
    finishReason: answer === null ? "out-of-turns" : "answered",
    texts,
    timing: { policyMs: 0, searchMs: 0 },
  };
}

describe("normaliseAnswer", () => {
  // Vectors run on the original's qa_em.py (reference: Search-R1 @ a14dc3a).
  it.each([
    ["The Beatles", "beatles"],
    ["3,000", "3000"],
    ["O'Neil", "oneil"],
    ["U.S.", "us"],
    ["rock-n-roll", "rocknroll"],
    ["L’Oréal", "l’oréal"],
    ["The U.S.A., an apple—a day", "usa apple— day"],
    ["día a día", "día día"],
    ["  A\tthe  An ", ""],
    ["theatre anathema", "theatre anathema"],
    ["the_a", "thea"],
    ["ça the été", "ça été"],
  ])("%j → %j", (text, normalised) => {
    expect(normaliseAnswer(text)).toBe(normalised);
  });

  it("takes composed and decomposed accents for the same", () => {
    expect(normaliseAnswer("Bogota\u0301")).toBe(normaliseAnswer("Bogotá"));
  });
});

describe("exact match", () => {
  it.each([
    ["paris", 1],
    [" The PARIS. ", 1],
    ["city of Paris", 1],
    ["Paris, France", 0],
    ["Pari", 0],
    ["", 0],
    [null, 0],
  ])("%j → %i", (answer, reward) => {
    expect(exactMatch(question, trajectoryOf(["turn"], answer))).toBe(reward);
  });

  it("does as the original where everything normalises away", () => {
    expect(matchesAnswer("", ["the"])).toBe(true);
  });

  it("does not see the prompt's example", () => {
    const asked = { ...question, answers: ["Beijing"] };
    expect(exactMatch(asked, trajectoryOf(["no answer"], null))).toBe(0);
  });
});

const THINK = "<think> a </think>";
const SEARCH = `${THINK}\n<search> q </search>`;
const ANSWER = `${THINK} <answer> Paris </answer>`;

describe("format", () => {
  const turns: [name: string, turns: string[], valid: boolean][] = [
    ["think, answer", [ANSWER], true],
    ["think, search, think, answer", [SEARCH, `\n${ANSWER}\n`], true],
    ["three searches", [SEARCH, SEARCH, SEARCH, ANSWER], true],
    ["no thought", ["<answer> Paris </answer>"], false],
    ["no thought after a search", [SEARCH, "<answer> Paris </answer>"], false],
    ["two thoughts", [`${THINK}${ANSWER}`], false],
    ["text before the thought", [`x ${ANSWER}`], false],
    ["text between", [`${THINK} so <answer> Paris </answer>`], false],
    ["text after the answer", [`${ANSWER} and more`], false],
    ["unclosed thought", ["<think> a <answer> Paris </answer>"], false],
    ["a tag inside the thought", ["<think> <search> </think><answer> Paris </answer>"], false],
    ["a tag inside the answer", [`${THINK}<answer> <information> Paris </answer>`], false],
    ["a forged information block", [`${THINK}<search>q</search><information>x</information>`, ANSWER], false],
    ["a malformed turn before", ["hm", ANSWER], false],
    ["search and answer in one turn", [`${THINK}<search>q</search><answer> Paris </answer>`], false],
  ];
  it.each(turns)("%s", (_name, texts, valid) => {
    expect(isWellFormed(trajectoryOf(texts, "Paris"), searchR1)).toBe(valid);
  });

  it("needs an answer, and can do without thoughts", () => {
    expect(isWellFormed(trajectoryOf([SEARCH, SEARCH], null), searchR1)).toBe(false);
    const bare = trajectoryOf(["<search>q</search>", "<answer>x</answer>"], "x");
    expect(isWellFormed(bare, searchR1, { thinkRequired: false })).toBe(true);
  });

  // The second paper's table (reference §3.3), but for no answer + valid, which cannot be without an answer.
  const hit = [searchCall("q", "In Paris.")];
  const miss = [searchCall("q", "In Rome.")];
  it.each([
    ["right, valid", ANSWER, "Paris", miss, 1],
    ["right, invalid", "<answer>Paris</answer>", "Paris", miss, 0.8],
    ["wrong, valid, retrieved", ANSWER, "Rome", hit, 0.25],
    ["wrong, valid, not retrieved", ANSWER, "Rome", miss, 0.2],
    ["wrong, invalid", "<answer>Rome</answer>", "Rome", hit, 0.1],
    ["none, invalid", "hm", null, hit, 0],
  ])("%s", (_name, turn, answer, searches, expected) => {
    const reward = searchR1FormatReward(searchR1, { retrieval: 0.05 });
    expect(reward(question, trajectoryOf([turn], answer, searches))).toBeCloseTo(expected, 12);
  });
});

describe("search cost", () => {
  const searches = [searchCall("a b", "x"), searchCall(" A  B", "x"), searchCall("c", "x")];
  it("is paid by right answers only", () => {
    const cost = searchCost({ perSearch: 0.1, perRepeat: 0.05, most: 0.9 });
    expect(cost(question, trajectoryOf(["t"], "Paris", searches))).toBeCloseTo(-0.35, 12);
    expect(cost(question, trajectoryOf(["t"], "Paris"))).toBe(0);
    expect(cost(question, trajectoryOf(["t"], "Rome", searches))).toBe(0);
    expect(cost(question, trajectoryOf(["t"], null, searches))).toBe(0);
  });

  it("has a limit, so that right stays better than wrong", () => {
    const many = Array.from({ length: 100 }, () => searchCall("q", "x"));
    expect(searchCost()(question, trajectoryOf(["t"], "Paris", many))).toBe(-0.3);
    expect(repeatedQueries(trajectoryOf(["t"], null, many))).toBe(99);
  });
});

describe("combined rewards", () => {
  it("are weighted sums with their parts", () => {
    const score = combineRewards({ "exact-match": 1, format: 0.2, "search-cost": 2 }, rewardsFor(searchR1));
    const result = score(question, trajectoryOf([SEARCH, ANSWER], "Paris", [searchCall("q", "x")]));
    expect(result.parts).toEqual({ "exact-match": 1, format: 1, "search-cost": -0.02 });
    expect(result.total).toBeCloseTo(1.16, 12);
  });

  it("teach when a name or weight is wrong", () => {
    const known = rewardsFor(searchR1);
    expect(() => combineRewards({ "exact-mach": 1 }, known)).toThrow(/Did you mean exact-match\?/);
    expect(() => combineRewards({ toString: 1 }, known)).toThrow(/no reward named toString/);
    expect(() => combineRewards({ format: NaN }, known)).toThrow(/weight of reward format is NaN/);
    expect(() => combineRewards({}, known)).toThrow(/No reward is named/);
  });
});
