import { expect, it } from "vitest";
import { Random } from "../src/random.js";
import { medianWithInterval, pairedRatios, type Speeds } from "./self/pairs.js";

it("takes the order statistics of the sign test's tables", () => {
  const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);
  // Ranks (from 1) of the 95 % interval of a median: n = 6: 1 and 6; 10: 2 and 9; 15: 4 and 12; 20: 6 and 15.
  for (const [n, low, high] of [
    [5, 1, 5],
    [6, 1, 6],
    [10, 2, 9],
    [15, 4, 12],
    [20, 6, 15],
  ])
    expect(medianWithInterval(upTo(n))).toEqual({ value: (n + 1) / 2, low, high });
});

it("holds the true median in at least 95 % of experiments, and not always", () => {
  const random = new Random(1);
  let held = 0;
  for (let experiment = 0; experiment < 2000; experiment++) {
    const { low, high } = medianWithInterval(Array.from({ length: 12 }, () => random.next() ** 3));
    if (low <= 0.125 && 0.125 <= high) held++;
  }
  expect(held / 2000).toBeGreaterThan(0.94);
  expect(held / 2000).toBeLessThan(1);
});

it("alternates who begins, and leaves out the first pair", async () => {
  const calls: string[] = [];
  const side = (name: string, value: number) => async (): Promise<Speeds> => {
    calls.push(name);
    return { line: calls.length === 1 ? 1000 * value : value };
  };
  const ratios = await pairedRatios(3, { ours: side("ours", 3), theirs: side("theirs", 2) });
  expect(ratios).toEqual({ line: [1.5, 1.5, 1.5] });
  expect(calls).toEqual(["ours", "theirs", "theirs", "ours", "ours", "theirs", "theirs", "ours"]);
});
