import { describe, expect, it } from "vitest";
import type { Question } from "../../types.js";
import { chooseAttempts } from "./choose.js";
import type { CollectedAttempt } from "./outcome.js";

const attempt = (question: string, searches: number, over: Partial<CollectedAttempt> = {}): CollectedAttempt => ({
  ...{ question, attempt: 0, outcome: "scored", reward: 1, searches, answer: question },
  ...over,
});
const questionsOf = (attempts: readonly CollectedAttempt[]): Map<string, Question> =>
  new Map(attempts.map(({ question: id }) => [id, { id, question: `What is ${id.toLowerCase()}?`, answers: [id] }]));
const choose = (attempts: readonly CollectedAttempt[], limit = 100, perQuestion = 1) =>
  chooseAttempts(attempts, questionsOf(attempts), { perQuestion, limit, seed: 0 });

describe("the attempts that are kept", () => {
  it("have scored, and are one per question and one per wording", () => {
    const attempts = [
      attempt("a", 1),
      attempt("a", 2, { attempt: 1 }),
      attempt("b", 1, { outcome: "no hit" }),
      attempt("C", 1, { answer: "same" }),
      attempt("c", 1, { answer: "Same" }),
    ];
    expect(choose(attempts)).toEqual({ kept: [attempts[0], attempts[3]], repeated: 2, over: 0 });
    expect(choose(attempts, 100, 2).kept).toHaveLength(3);
  });

  it("are equally many of each number of searches, as far as there are, in their order", () => {
    const attempts = Array.from({ length: 40 }, (_, n) => attempt(`q${n}`, n < 30 ? 1 : n < 38 ? 2 : 3));
    const { kept, over } = choose(attempts, 20);
    const count = (searches: number) => kept.filter((one) => one.searches === searches).length;
    expect([count(1), count(2), count(3), over]).toEqual([10, 8, 2, 20]);
    expect(kept).toEqual(attempts.filter((one) => kept.includes(one)));
    expect(choose(attempts, 20).kept).toEqual(kept);
  });
});
