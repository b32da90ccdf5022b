import { describe, expect, it } from "vitest";
import { countsUpTo, passAtK, severalAttempts } from "./attempts.js";
import { recordOf } from "./folder.test-support.js";

const question = { id: "q", question: "?", answers: ["lima"] };
const attemptsWith = (answers: readonly (string | null)[]) =>
  answers.map((answer, attempt) => recordOf(question, answer, { attempt }));

it("counts double up to the number of attempts", () => {
  expect([1, 2, 5, 8].map(countsUpTo)).toEqual([[1], [1, 2], [1, 2, 4, 5], [1, 2, 4, 8]]);
});

describe("pass@k", () => {
  const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
  it.each([
    [10, 3, 1],
    [10, 3, 4],
    [200, 13, 100],
    [5, 0, 2],
    [5, 4, 2],
  ])("of %i attempts with %i right, k = %i, is 1 − C(n − c, k) ÷ C(n, k)", (n, c, k) => {
    const wrong = n - c < k ? 0 : choose(n - c, k) / choose(n, k);
    expect(passAtK(n, c, k)).toBeCloseTo(1 - wrong, 10);
  });
});

describe("maj@k", () => {
  const atAll = (answers: readonly (string | null)[]): number | undefined =>
    severalAttempts([attemptsWith(answers)]).majAt.at(-1)?.value.value;

  it("is the answer with the most votes, as answers are compared; silence has no vote", () => {
    expect(atAll(["Lima", "lima.", "Cusco", null, null, null])).toBe(1);
    expect(atAll(["Lima", "Cusco", "Cusco"])).toBe(0);
    expect(atAll([null, null])).toBe(0);
  });

  it("shares a first place", () => {
    expect(atAll(["Lima", "Cusco"])).toBe(0.5);
  });

  it("averages over draws of k, and at 1 is the share of right answers", () => {
    const { passAt, majAt } = severalAttempts([attemptsWith(["Lima", "Lima", "Lima", "Cusco", "Quito"])]);
    expect(majAt.map(({ k }) => k)).toEqual([1, 2, 4, 5]);
    expect(majAt[0].value.value).toBeCloseTo(0.6, 10);
    expect(passAt[0].value.value).toBeCloseTo(0.6, 10);
    // Of two votes: 3/10 both right, 6/10 split (one half), 1/10 both wrong.
    expect(majAt[1].value.value).toBeCloseTo(0.6, 1);
    expect(majAt[3].value.value).toBe(1);
  });
});
