import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { EvaluationRecord } from "../../eval/evaluation.js";
import { recordOf } from "../../eval/folder.test-support.js";
import { traceToLine } from "../../rollout/trace.js";
import { attemptPairs, pairedGain, type AttemptPair } from "./gain.js";

const record = (id: string, reward: number): EvaluationRecord =>
  recordOf({ id, question: "?", answers: ["yes"] }, null, { reward });
const pairs = (scores: readonly (readonly [number, number])[]): AttemptPair[] =>
  scores.map(([before, after], index) => ({
    before: record(String(index), before),
    after: record(String(index), after),
  }));
const reward = ({ reward }: EvaluationRecord): number => reward;
const repeat = <T>(count: number, value: T): T[] => new Array<T>(count).fill(value);

describe("pairedGain", () => {
  it("is the mean difference, and sure of it where every question gains the same", () => {
    expect(pairedGain(pairs(repeat(50, [0, 1] as const)), reward)).toEqual({ value: 1, low: 1, high: 1, n: 50 });
  });

  it("is narrower than the difference of two independent shares, because questions are compared with themselves", () => {
    // 160 right both times, 20 wrong both times, 20 gained.
    const scores = [...repeat(160, [1, 1] as const), ...repeat(20, [0, 0] as const), ...repeat(20, [0, 1] as const)];
    const gain = pairedGain(pairs(scores), reward);
    expect(gain.value).toBeCloseTo(0.1, 10);
    // The normal approximation of a mean of 200 differences with variance 0.1·0.9.
    expect(gain.low).toBeCloseTo(0.1 - 1.96 * Math.sqrt(0.09 / 200), 1);
    expect(gain.low).toBeGreaterThan(0.05);
    expect(gain.high).toBeLessThan(0.15);
  });

  it("does not claim a gain where as many were lost as won", () => {
    const scores = [...repeat(15, [0, 1] as const), ...repeat(15, [1, 0] as const), ...repeat(170, [1, 1] as const)];
    const gain = pairedGain(pairs(scores), reward);
    expect(gain.low).toBeLessThan(0);
    expect(gain.high).toBeGreaterThan(0);
  });
});

describe("attemptPairs", async () => {
  const run = await mkdtemp(path.join(tmpdir(), "sleuth-gain-"));
  afterAll(() => rm(run, { recursive: true }));
  const write = async (name: string, records: readonly EvaluationRecord[]): Promise<void> => {
    await mkdir(path.join(run, "evaluations"), { recursive: true });
    await writeFile(path.join(run, "evaluations", name), records.map((one) => `${traceToLine(one)}\n`).join(""));
  };

  it("pairs by question, whatever the order, and needs both evaluations", async () => {
    await write("before-greedy.jsonl", [record("a", 0), record("b", 1), record("only before", 1)]);
    expect(await attemptPairs(run, "greedy")).toBeNull();
    await write("after-greedy.jsonl", [record("b", 0), record("a", 1)]);
    const found = await attemptPairs(run, "greedy");
    expect(found?.map(({ before, after }) => [before.trajectory.questionId, reward(before), reward(after)])).toEqual([
      ["a", 0, 1],
      ["b", 1, 0],
    ]);
  });
});
