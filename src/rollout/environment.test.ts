import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { attemptOf } from "../rewards/attempts.test-support.js";
import { attemptAndScore } from "./environment.js";

const attempt = (): Promise<ReturnType<typeof attemptOf>> => Promise.resolve(attemptOf(["turn"], "Paris"));

describe("attempts with rewards", () => {
  it("keep their order, whoever is scored first", async () => {
    const score = (item: number): number | Promise<number> => (item === 0 ? delay(20, item) : item);
    const scored = await attemptAndScore([0, 1, 2], attempt, score, { concurrency: 2 });
    expect(scored.map(({ score }) => score)).toEqual([0, 1, 2]);
  });

  it("a slow judge keeps nobody from attempting", async () => {
    const judged: number[] = [];
    let answer: () => void = () => undefined;
    const asked = new Promise<number>((resolve) => (answer = () => resolve(1)));
    const score = (item: number): Promise<number> => {
      judged.push(item);
      if (judged.length === 5) answer();
      return asked;
    };
    const scored = await attemptAndScore([0, 1, 2, 3, 4], attempt, score, { concurrency: 1 });
    expect(scored).toHaveLength(5);
  });

  it.each<[string, (item: number) => number | Promise<number>]>([
    ["fails later", (item) => (item === 0 ? delay(5).then(() => Promise.reject(new Error("no judge"))) : 1)],
    [
      "throws at once",
      () => {
        throw new Error("no judge");
      },
    ],
  ])("a reward that %s ends everything with its reason", async (_name, score) => {
    let attempts = 0;
    const slow = async (_item: number, signal: AbortSignal): Promise<ReturnType<typeof attemptOf>> => {
      attempts++;
      await delay(2);
      signal.throwIfAborted();
      return attempt();
    };
    const items = Array.from({ length: 1000 }, (_, index) => index);
    await expect(attemptAndScore(items, slow, score, { concurrency: 2 })).rejects.toThrow("no judge");
    expect(attempts).toBeLessThan(100);
  });

  it("an abort ends them with its reason, and tells the judge", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    let told = false;
    const score = (_item: number, _trajectory: unknown, signal: AbortSignal): Promise<number> =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => {
          told = true;
          reject(signal.reason as Error);
        }),
      );
    setTimeout(() => stop.abort(reason), 5);
    const running = attemptAndScore([0], attempt, score, { concurrency: 1, signal: stop.signal });
    await expect(running).rejects.toBe(reason);
    expect(told).toBe(true);
  });
});
