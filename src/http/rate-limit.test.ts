import { describe, expect, it } from "vitest";
import { RateLimit } from "./rate-limit.js";

/** Time that passes only when somebody sleeps: sleepers wake in the order of their times. */
function clock() {
  let now = 1000;
  const sleepers: { at: number; wake: () => void }[] = [];
  return {
    now: () => now,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper = { at: now + ms, wake: resolve };
        sleepers.push(sleeper);
        signal?.addEventListener("abort", () => {
          sleepers.splice(sleepers.indexOf(sleeper), 1);
          reject(signal.reason);
        });
      }),
    /** Lets everybody go who can go without time passing, then passes time until the next wakes; false when nobody sleeps. */
    async tick(): Promise<boolean> {
      await new Promise((resolve) => setImmediate(resolve));
      sleepers.sort((a, b) => a.at - b.at);
      const next = sleepers.shift();
      if (next === undefined) return false;
      now = next.at;
      next.wake();
      await new Promise((resolve) => setImmediate(resolve));
      return true;
    },
  };
}

describe("RateLimit", () => {
  it("waits for no token longer than its gap, also when the clock is set back", async () => {
    let now = 10_000_000;
    const slept: number[] = [];
    const sleep = (ms: number): Promise<void> => Promise.resolve(void (slept.push(ms), (now += ms)));
    const limit = new RateLimit(4, { now: () => now, sleep });
    const { signal } = new AbortController();
    await limit.take(signal);
    now -= 3_600_000;
    for (let turn = 0; turn < 3; turn++) await limit.take(signal);
    expect(slept).toEqual([250, 250, 250]);
  });

  it("spaces requests evenly, in the order in which they came, and saves nothing up", async () => {
    const time = clock();
    const limit = new RateLimit(4, time);
    const went: [number, number][] = [];
    const never = new AbortController().signal;
    const all = [0, 1, 2].map((index) => limit.take(never).then(() => went.push([index, time.now()])));
    while (await time.tick());
    await Promise.all(all);
    expect(went).toEqual([
      [0, 1000],
      [1, 1250],
      [2, 1500],
    ]);
    const sleep = time.sleep(10_000);
    await time.tick();
    await sleep;
    const later = [3, 4].map((index) => limit.take(never).then(() => went.push([index, time.now()])));
    while (await time.tick());
    await Promise.all(later);
    expect(went.slice(3)).toEqual([
      [3, 11_500],
      [4, 11_750],
    ]);
  });

  it("lets those go who give up, at once and without a token, and keeps the order of the others", async () => {
    const time = clock();
    const limit = new RateLimit(1, time);
    const never = new AbortController().signal;
    const controller = new AbortController();
    const reason = new Error("enough");
    const went: [string, number][] = [];
    await limit.take(never);
    const sleeping = limit.take(controller.signal);
    const queued = limit.take(controller.signal);
    const last = limit.take(never).then(() => went.push(["last", time.now()]));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    await expect(queued).rejects.toBe(reason);
    await expect(limit.take(controller.signal)).rejects.toBe(reason);
    while (await time.tick());
    await last;
    expect(went).toEqual([["last", 2000]]);
  });

  it("does not let the next one overtake when one in the middle of the queue gives up", async () => {
    const time = clock();
    const limit = new RateLimit(1, time);
    const never = new AbortController().signal;
    const controller = new AbortController();
    const went: [string, number][] = [];
    await limit.take(never);
    const first = limit.take(never).then(() => went.push(["first", time.now()]));
    const middle = limit.take(controller.signal);
    const last = limit.take(never).then(() => went.push(["last", time.now()]));
    controller.abort(new Error("enough"));
    await expect(middle).rejects.toThrow("enough");
    while (await time.tick());
    await Promise.all([first, last]);
    expect(went).toEqual([
      ["first", 2000],
      ["last", 3000],
    ]);
  });

  it("sends nothing while a server rests, with a rate and without", async () => {
    let now = 1000;
    const waits: number[] = [];
    const sleep = (ms: number): Promise<void> => Promise.resolve(void (waits.push(ms), (now += ms)));
    const { signal } = new AbortController();
    const limit = new RateLimit(1, { now: () => now, sleep });
    for (let request = 0; request < 3; request++) await limit.take(signal);
    expect(waits).toEqual([1000, 1000]);
    now = 9000;
    await limit.take(signal);
    expect(waits).toHaveLength(2);
    limit.rest(5000);
    limit.rest(100);
    await limit.take(signal);
    expect(waits.at(-1)).toBe(5000);
    await limit.take(signal);
    expect(waits.at(-1)).toBe(1000);
    const unlimited = new RateLimit(undefined, { now: () => now, sleep });
    for (let request = 0; request < 3; request++) await unlimited.take(signal);
    expect(waits).toHaveLength(4);
    unlimited.rest(700);
    now -= 3_600_000;
    for (let request = 0; request < 2; request++) await unlimited.take(signal);
    expect(waits.slice(4)).toEqual([700]);
  });

  it("refuses rates that are none", () => {
    for (const perSecond of [0, -1, Number.NaN, Infinity]) expect(() => new RateLimit(perSecond)).toThrow(RangeError);
  });
});
