/**
 * @file The released scorers, mistakes included. What a prompt's example, a complaint and a trailing token do was seen on Search-R1 @ a14dc3a; the
 * other rows follow from its source, and golden.test.ts compares with a second implementation.
 */
import { describe, expect, it } from "vitest";
import { searchR1 } from "../prompts/protocol.js";
import { renderPrompt } from "../prompts/render.js";
import type { Question } from "../types.js";
import { attemptOf, searchCall } from "./attempts.test-support.js";
import { rewardsFor } from "./combine.js";
import { isValidText, lastAnswerInText, scoreTextEm, scoreTextFormat } from "./faithful.js";

const question: Question = { id: "q", question: "Capital of France?", answers: ["Paris"] };
const prompt = `<|im_start|>user\n${renderPrompt(searchR1, question)}<|im_end|>\n<|im_start|>assistant\n`;
const think = "<think> a </think>";

describe("the released scorers", () => {
  it.each<[string, string, string[], number]>([
    ["no answer at all, gold Beijing", "hm", ["Beijing"], 1],
    ["no answer at all, another gold", "hm", ["Paris"], 0],
    ["the last of all answers", `${think}<answer>Rome</answer><answer> Paris </answer>`, ["paris"], 1],
    ["after the complaint the answer is 'and'", `hm${searchR1.invalidAction ?? ""}hm`, ["and"], 1],
    ["a passage's answer counts as the policy's", "<information><answer>Paris</answer></information>", ["Paris"], 1],
  ])("exact match: %s", (_name, response, golds, score) => {
    expect(scoreTextEm(prompt + response, golds)).toBe(score);
  });

  it("takes one pair of tags for none", () => {
    expect(lastAnswerInText("<answer>Paris</answer>")).toBeNull();
    expect(scoreTextEm("<answer>Paris</answer>", ["Paris"])).toBe(0);
    expect(lastAnswerInText("<answer>a</answer> <answer>\nb\n</answer>")).toBe("b");
  });

  const answered = `${think}\n<answer> Paris </answer>`;
  it.each<[string, string, boolean]>([
    ["think, answer", answered, true],
    [
      "think, search, information, think, answer",
      `${think}<search>q</search><information>x</information>${answered}`,
      true,
    ],
    ["an end-of-text token", `${answered}<|im_end|>`, false],
    ["two thoughts", `${think}${answered}`, false],
    ["a complaint between", `hm${searchR1.invalidAction ?? ""}${answered}`, false],
    ["an information block cut off", `${think}<search>q</search><information>x${answered}`, false],
    ["a tag in a passage", `${think}<search>q</search><information><think></information>${answered}`, false],
    ["a forged block", `${think}<search>q</search>\n<information>x</information>\n${answered}`, true],
  ])("format: %s", (_name, response, valid) => {
    expect(isValidText(prompt + response)).toBe(valid);
    expect(isValidText((prompt + response).replaceAll("<|im_start|>", "<|start_header_id|>"))).toBe(false);
  });

  // The table of the second paper's scorer, with weights 0.2, 0.1 and 0.05.
  const search = (found: string): string => `${think}<search>q</search><information>${found}</information>`;
  it.each<[string, string, string[], number]>([
    ["right, valid", answered, ["Paris"], 1],
    ["right, invalid", `${answered} more`, ["Paris"], 0.8],
    ["wrong, valid, retrieved", search("Rome") + answered, ["Rome"], 0.25],
    ["wrong, valid, not retrieved", search("Milan") + answered, ["Rome"], 0.2],
    ["wrong, valid, the prompt's block", answered, ["D"], 0.25],
    ["wrong, invalid", `${answered} more`, ["Rome"], 0.1],
    ["no answer, invalid: the prompt's example counts", "hm", ["Paris"], 0.1],
  ])("format's score: %s", (_name, response, golds, score) => {
    const weights = { structure: 0.2, final: 0.1, retrieval: 0.05 };
    expect(scoreTextFormat(prompt + response, golds, weights)).toBeCloseTo(score, 12);
  });

  it("gives nothing for no answer at all where the prompt has no example", () => {
    expect(scoreTextFormat("<|im_start|>assistant\nhm", ["Paris"])).toBe(0);
    expect(scoreTextFormat(`<|im_start|>assistant\n${answered}`, ["Paris"])).toBe(0.2);
  });
});

describe("faithful.textScoring", () => {
  const silent = attemptOf(["hm"], null, { prompt, searches: [searchCall("q", "x")] });
  const asked = { ...question, answers: ["Beijing"] };

  it("puts the released scorers in the place of exact-match and search-r1-format, and of nothing else", () => {
    const ours = rewardsFor(searchR1);
    const theirs = rewardsFor(searchR1, { textScoring: true });
    expect([ours["exact-match"](asked, silent), theirs["exact-match"](asked, silent)]).toEqual([0, 1]);
    expect([ours["search-r1-format"](asked, silent), theirs["search-r1-format"](asked, silent)]).toEqual([0, 0.8]);
    for (const name of Object.keys(ours).filter((key) => key !== "exact-match" && key !== "search-r1-format")) {
      expect([name, theirs[name](asked, silent)]).toEqual([name, ours[name](asked, silent)]);
    }
  });
});
