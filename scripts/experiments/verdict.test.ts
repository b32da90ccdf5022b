import { describe, expect, it } from "vitest";
import { judge, type Expectation, type Verdict } from "./verdict.js";

const margin = 0.05;

describe("a verdict needs the whole interval", () => {
  it.each<[Expectation, number, number, Verdict]>([
    ["higher", 0.01, 0.2, "holds"],
    ["higher", -0.01, 0.2, "unseen"],
    ["higher", -0.2, -0.01, "fails"],
    ["lower", -0.2, -0.01, "holds"],
    ["lower", -0.2, 0.01, "unseen"],
    ["lower", 0.01, 0.2, "fails"],
    ["different", 0.01, 0.2, "holds"],
    ["different", -0.04, 0.04, "fails"],
    ["different", -0.04, 0.2, "unseen"],
    ["equal", -0.04, 0.04, "holds"],
    ["equal", 0.01, 0.04, "holds"],
    ["equal", -0.04, 0.06, "unseen"],
    ["equal", 0.06, 0.1, "fails"],
    ["equal", -0.1, -0.06, "fails"],
    ["not-higher", -0.3, 0.04, "holds"],
    ["not-higher", -0.3, 0.06, "unseen"],
    ["not-higher", 0.06, 0.1, "fails"],
  ])("%s, [%d, %d]: %s", (expectation, low, high, verdict) => {
    expect(judge(expectation, { value: (low + high) / 2, low, high, n: 5 }, { margin })).toBe(verdict);
  });

  it("is not given on two seeds, which agree by chance", () => {
    const agreeing = { value: 0.5, low: 0.5, high: 0.5 };
    expect(judge("higher", { ...agreeing, n: 2 }, { margin })).toBe("not run");
    expect(judge("higher", { ...agreeing, n: 3 }, { margin })).toBe("holds");
  });
});
