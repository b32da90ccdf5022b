import { describe, expect, it } from "vitest";
import { defaultRetry, withRetries } from "./retry.js";

class Passing extends Error {
  readonly afterMs: number;

  constructor(afterMs = 0) {
    super("it may pass");
    this.afterMs = afterMs;
  }
}

function retrying(options: Partial<Parameters<typeof withRetries>[1]> = {}) {
  const waits: number[] = [];
  const run = <T>(attempt: () => Promise<T>): Promise<T> =>
    withRetries(attempt, {
      settings: { ...defaultRetry, firstDelayMs: 100, maxDelayMs: 300 },
      tools: { random: () => 1, sleep: async (ms) => void waits.push(ms) },
      waitAsked: (failure) => (failure instanceof Passing ? failure.afterMs : undefined),
      ...options,
    });
  return { run, waits };
}

describe("withRetries", () => {
  it("waits longer each time up to a bound, then throws the last failure", async () => {
    const failures = Array.from({ length: 4 }, () => new Passing());
    const told: number[] = [];
    const { run, waits } = retrying({ onWait: (ms) => told.push(ms) });
    let tries = 0;
    await expect(run(() => Promise.reject(failures[tries++]))).rejects.toBe(failures[3]);
    expect(waits).toEqual([100, 200, 300]);
    expect(told).toEqual(waits);
  });

  it("fails at once for what is not worth a retry, and where the server wants too long a rest", async () => {
    const { run, waits } = retrying();
    const wrong = new Error("wrong");
    await expect(run(() => Promise.reject(wrong))).rejects.toBe(wrong);
    const resting = new Passing(60_001);
    await expect(run(() => Promise.reject(resting))).rejects.toBe(resting);
    expect(waits).toEqual([]);
  });

  it("begins counting anew after progress", async () => {
    let [tries, done] = [0, 0];
    const { run, waits } = retrying({ progress: () => done });
    const attempt = async (): Promise<string> => {
      tries++;
      if (tries === 12) return "whole";
      if (tries % 3 === 0) done++;
      throw new Passing();
    };
    expect(await run(attempt)).toBe("whole");
    expect(waits).toEqual([100, 200, 100, 200, 300, 100, 200, 300, 100, 200, 300]);
  });

  it("tries no more once the caller has given up", async () => {
    const caller = new AbortController();
    const reason = new Error("enough");
    let tries = 0;
    const { run } = retrying({ signal: caller.signal });
    const attempt = (): Promise<never> => {
      tries++;
      caller.abort(reason);
      return Promise.reject(new Passing());
    };
    await expect(run(attempt)).rejects.toBe(reason);
    await expect(run(attempt)).rejects.toBe(reason);
    expect(tries).toBe(1);
  });
});
