/** @file Rewards against an independent implementation: `test/golden/rewards.py`. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { searchR1 } from "../prompts/protocol.js";
import { attemptOf } from "./attempts.test-support.js";
import { coverMatch, exactMatch, f1, substringMatch } from "./answers.js";
import { isValidText, scoreTextEm, scoreTextFormat, wholeText } from "./faithful.js";
import { isWellFormed } from "./format.js";
import { normaliseAnswer, normaliseLikeOriginal } from "./normalise.js";
import { softOverlong } from "./penalties.js";

interface Golden {
  prompt: string;
  block: string;
  empty: string;
  normalise: { text: string; normalised: string; original: string }[];
  answers: { answer: string; golds: string[]; exact: number; cover: number; substring: number; f1: number }[];
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

describe("golden values", () => {
  it("normalisation, ours and the original's", () => {
    for (const { text, normalised, original } of golden.normalise) {
      expect([text, normaliseAnswer(text), normaliseLikeOriginal(text)]).toEqual([text, normalised, original]);
    }
    // The two differ somewhere in the table, or it would not tell them apart.
    expect(golden.normalise.some(({ normalised, original }) => normalised !== original)).toBe(true);
  });

  it("exact match, cover match, substring match and F1", () => {
    for (const { answer, golds, ...expected } of golden.answers) {
      const question = { id: "q", question: "?", answers: golds };
      const attempt = attemptOf(["turn"], answer);
      const scores = {
        exact: exactMatch(question, attempt),
        cover: coverMatch(question, attempt),
        substring: substringMatch(question, attempt),
      };
      expect({ answer, golds, ...scores }).toEqual({
        answer,
        golds,
        exact: expected.exact,
        cover: expected.cover,
        substring: expected.substring,
      });
      expect(f1(question, attempt), `${answer} against ${golds.join(" | ")}`).toBeCloseTo(expected.f1, 12);
    }
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
