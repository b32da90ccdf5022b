import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Segment, Trajectory } from "../../types.js";
import { repeatedShare, repeatedTokens } from "./repetition.js";

/** The definition, word by word: quadratic. */
function slowly(tokens_T: readonly number[]): number {
  const covered = new Set<number>();
  for (let start = 0; start + 8 <= tokens_T.length; start++) {
    for (let other = 0; other < start; other++) {
      const isSame = Array.from({ length: 8 }, (_, t) => tokens_T[start + t] === tokens_T[other + t]).every(Boolean);
      if (isSame) for (let t = start; t < start + 8; t++) covered.add(t);
    }
  }
  return covered.size;
}

const numbers = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index);

describe("repeatedTokens", () => {
  it.each([
    ["nothing", [], 0],
    ["a text without repetition", numbers(50), 0],
    ["seven tokens copied", [...numbers(7), 99, ...numbers(7)], 0],
    ["eight tokens copied", [...numbers(8), 99, ...numbers(8)], 8],
    ["a long copy", [...numbers(20), 99, ...numbers(20)], 20],
    ["one token over and over: all but the first", Array.from({ length: 30 }, () => 7), 29],
    ["a loop of three", Array.from({ length: 30 }, (_, index) => index % 3), 27],
    ["two different copies", [...numbers(8), 99, ...numbers(8), 98, ...numbers(8)], 16],
  ])("%s", (_name, tokens_T, repeated) => {
    expect(repeatedTokens(tokens_T)).toBe(repeated);
  });

  it("is the definition, for any text", () => {
    const texts = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 60 });
    fc.assert(fc.property(texts, (tokens_T) => repeatedTokens(tokens_T) === slowly(tokens_T)));
  });

  it("is not fooled by spans of equal key (31·a + b collides for [0, 31] and [1, 0])", () => {
    const [one, other] = [numbers(6, 100).concat([0, 31]), numbers(6, 100).concat([1, 0])];
    expect(repeatedTokens([...one, 7, ...other])).toBe(0);
  });
});

it("repeatedShare looks at the policy's turns, each by itself", () => {
  const segment = (role: Segment["role"], tokens_T: number[]): Segment => ({ role, tokens_T });
  const trajectory = (segments: Segment[]): Trajectory => ({
    questionId: "q",
    segments,
    searches: [],
    answer: null,
    finishReason: "answered",
    texts: segments.map(() => ""),
    timing: { policyMs: 0, searchMs: 0 },
  });
  const loop = Array.from({ length: 20 }, () => 1);
  const observed = trajectory([segment("prompt", loop), segment("policy", numbers(10)), segment("environment", loop)]);
  expect(repeatedShare([observed])).toBe(0);
  const twice = trajectory([segment("policy", numbers(10)), segment("policy", numbers(10))]);
  expect(repeatedShare([twice])).toBe(0);
  const looping = trajectory([segment("policy", loop), segment("policy", numbers(20))]);
  expect(repeatedShare([looping])).toBe(19 / 40);
  expect(repeatedShare([])).toBe(0);
});
