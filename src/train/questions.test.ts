import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { drawQuestions } from "./questions.js";

const questions = Array.from({ length: 7 }, (_, index) => ({ id: `q${index}`, question: "?", answers: ["a"] }));

describe("drawQuestions", () => {
  it("draws every question once per epoch, whatever the size of a step", () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 1, max: 20 }), (seed, perStep) => {
        const steps = Array.from({ length: 21 }, (_, step) =>
          drawQuestions(questions, seed, step * perStep, perStep),
        ).flat();
        for (let epoch = 0; (epoch + 1) * 7 <= steps.length; epoch++) {
          const drawn = steps.slice(epoch * 7, (epoch + 1) * 7);
          expect(new Set(drawn.map(({ question }) => question.id)).size).toBe(7);
          expect(drawn.every(({ draw }) => draw === epoch)).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("orders epochs and seeds differently", () => {
    const order = (seed: number, step: number) =>
      drawQuestions(questions, seed, step * 7, 7).map(({ question }) => question.id);
    expect(order(0, 0)).not.toEqual(order(0, 1));
    expect(order(0, 0)).not.toEqual(order(1, 0));
    expect(order(3, 5)).toEqual(order(3, 5));
  });
});
