import { describe, expect, it } from "vitest";
import { learningRateAt, type Schedule } from "./schedule.js";

const schedule = (over: Partial<Schedule> = {}): Schedule => ({
  learningRate: 1,
  schedule: "linear",
  warmupSteps: 0,
  finalShare: 0.1,
  ...over,
});

describe("learningRateAt", () => {
  it("warms up from the first step on and reaches the peak after the warm-up", () => {
    const rates = [0, 1, 2, 3].map((step) =>
      learningRateAt(step, 10, schedule({ warmupSteps: 4, schedule: "constant" })),
    );
    expect(rates).toEqual([0.25, 0.5, 0.75, 1]);
  });

  it("decays linearly to the final share at the last step", () => {
    const rates = Array.from({ length: 10 }, (_, step) => learningRateAt(step, 10, schedule()));
    const expected = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
    rates.forEach((rate, step) => expect(rate).toBeCloseTo(expected[step], 12));
  });

  it("decays along a cosine: half way down in the middle", () => {
    const at = (step: number) => learningRateAt(step, 11, schedule({ schedule: "cosine" }));
    expect([at(0), at(5), at(10)].map((rate) => Number(rate.toFixed(12)))).toEqual([1, 0.55, 0.1]);
  });

  it("shortens a warm-up that is longer than the run", () => {
    expect([0, 1].map((step) => learningRateAt(step, 2, schedule({ warmupSteps: 50 })))).toEqual([0.5, 1]);
  });

  it("has a rate for a run of one step", () => expect(learningRateAt(0, 1, schedule())).toBe(1));
});
