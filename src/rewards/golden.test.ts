/** @file Rewards against an independent implementation: `test/golden/rewards.py`. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { searchR1 } from "../prompts/protocol.js";
import { attemptOf } from "./attempts.test-support.js";
import { ours, squad, substringMatch } from "./answers.js";
import { isValidText, scoreTextEm, scoreTextFormat, wholeText } from "./faithful.js";
import { isWellFormed } from "./format.js";
import { normaliseAnswer } from "./normalise.js";
import { softOverlong } from "./penalties.js";
import { normaliseLikeSquad } from "./squad.js";

interface AnswerCase {
  answer: string;
  golds: string[];
  exact: number;
  cover: number;
  f1: number;
}
interface Golden {
  prompt: string;
  block: string;
  empty: string;
  normalise: { text: string; squad: string }[];
  answers: (AnswerCase & { substring: number })[];
  ours: (AnswerCase & { normalised: string })[];
  formats: {
    chatml: boolean;
    turns: string[];
    found: boolean[];
    golds: string[];
    valid: boolean;
    textValid: boolean;
    textEm: number;
    textFormat: number;
  }[];
  overlong: { length: number; most: number; buffer: number; value: number }[];
}
const file = new URL("../../test/golden/rewards.json", import.meta.url);
const golden = JSON.parse(readFileSync(file, "utf8")) as Golden;

function scoresOf({ answer, golds, f1 }: AnswerCase, by: typeof ours): AnswerCase {
  const question = { id: "q", question: "?", answers: golds };
  const attempt = attemptOf(["turn"], answer);
  const score = by.f1(question, attempt);
  const [exact, cover] = [by.exactMatch(question, attempt), by.coverMatch(question, attempt)];
  return { answer, golds, exact, cover, f1: Math.abs(score - f1) < 1e-12 ? f1 : score };
}

describe("golden values", () => {
  it("SQuAD's normalisation", () => {
    for (const { text, squad } of golden.normalise) expect([text, normaliseLikeSquad(text)]).toEqual([text, squad]);
  });

  it("exact match, cover match, substring match and F1 as SQuAD compares", () => {
    for (const { substring, ...expected } of golden.answers) {
      expect(scoresOf(expected, squad)).toEqual(expected);
      const question = { id: "q", question: "?", answers: expected.golds };
      expect(substringMatch(question, attemptOf(["turn"], expected.answer))).toBe(substring);
    }
  });

  it("the same as we compare, in many scripts", () => {
    for (const { normalised, ...expected } of golden.ours) {
      expect([expected.answer, normaliseAnswer(expected.answer)]).toEqual([expected.answer, normalised]);
      expect(scoresOf(expected, ours)).toEqual(expected);
    }
    // The two comparisons differ somewhere in the table, or it would not tell them apart.
    expect(golden.ours.some((each) => scoresOf(each, squad).exact !== each.exact)).toBe(true);
  });

  it("format by roles, and the released scorers on the whole text", () => {
    for (const { chatml, turns, found, golds, ...expected } of golden.formats) {
      const prompt = chatml ? golden.prompt : golden.prompt.replaceAll("<|im_start|>", "");
      const observations = found.map((each) => (each ? golden.block : golden.empty));
      const attempt = attemptOf(turns, "whatever", { prompt, observations });
      const text = wholeText(attempt);
      const scores = {
        valid: isWellFormed(attempt, searchR1),
        textValid: isValidText(text),
        textEm: scoreTextEm(text, golds),
        textFormat: scoreTextFormat(text, golds, { structure: 0.2, final: 0.1, retrieval: 0.05 }),
      };
      expect({ turns, ...scores }).toEqual({ turns, ...expected });
    }
  });

  it("DAPO's soft overlong punishment", () => {
    for (const { length, most, buffer, value } of golden.overlong) {
      expect(softOverlong(length, most, buffer)).toBeCloseTo(value, 12);
    }
  });
});
