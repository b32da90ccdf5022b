import { describe, expect, it } from "vitest";
import { area, hasCollapsed, measures } from "./outcome.js";
import { outcomeLike } from "./outcomes.test-support.js";

describe("the course of training", () => {
  it("has the mean height of its curve, whatever the distance between evaluations", () => {
    const at = (step: number, sampled: number) => ({ step, sampled, greedy: 0 });
    expect(area([at(0, 0), at(5, 0.5), at(10, 0.5)])).toBeCloseTo(0.375, 12);
    expect(area([at(0, 0), at(1, 0.5), at(10, 0.5)])).toBeCloseTo(0.475, 12);
    expect(area([at(0, 0.3)])).toBe(0.3);
  });

  it.each([
    ["rises", [0, 0.4, 0.8], false, 0],
    ["falls a little", [0, 0.8, 0.7], false, 0.1],
    ["collapses", [0, 0.8, 0.3], true, 0.5],
    ["was never anywhere", [0.02, 0.04, 0], false, 0.04],
  ])("%s", (_name, course, collapsed, drop) => {
    const outcome = outcomeLike("grpo", 0, 0.5, course);
    expect(hasCollapsed(outcome)).toBe(collapsed);
    expect(measures.drop.of(outcome)).toBeCloseTo(drop, 12);
  });
});
