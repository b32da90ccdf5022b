import { getEventListeners } from "node:events";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  DeadlineError,
  drain,
  Gate,
  linkedController,
  mapInSlices,
  mapAhead,
  mapConcurrent,
  nextTurn,
  onAbort,
  orAborted,
  sleep,
  withDeadline,
} from "./async.js";

const late = (): Error => new Error("late");
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;
const never = new Promise<never>(() => {});

afterEach(() => void vi.useRealTimers());

describe("onAbort", () => {
  it("tells the reason of the first of several signals, once, and leaves no listener", () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const reasons: unknown[] = [];
    onAbort([first.signal, undefined, second.signal], (reason) => reasons.push(reason));
    second.abort("second");
    first.abort("first");
    expect(reasons).toEqual(["second"]);
    expect(listenersOf(first.signal)).toBe(0);
  });

  it("tells at once of a signal that has aborted, and listens to no other", () => {
    const open = new AbortController();
    const reasons: unknown[] = [];
    onAbort([open.signal, AbortSignal.abort("before")], (reason) => reasons.push(reason));
    expect(reasons).toEqual(["before"]);
    expect(listenersOf(open.signal)).toBe(0);
  });

  it("tells nothing once it is released", () => {
    const controller = new AbortController();
    const release = onAbort(controller.signal, () => expect.unreachable());
    release();
    controller.abort();
    onAbort(undefined, () => expect.unreachable())();
  });

  it("many listeners at one signal make no warning", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    const { signal } = new AbortController();
    const releases = Array.from({ length: 50 }, () => onAbort(signal, () => {}));
    await nextTurn();
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
    for (const release of releases) release();
  });
});

describe("linkedController", () => {
  it("aborts with the first signal until it is released, and by itself", () => {
    const [run, closed] = [new AbortController(), new AbortController()];
    const linked = linkedController([run.signal, closed.signal]);
    closed.abort("closed");
    expect(linked.controller.signal.reason).toBe("closed");
    const released = linkedController(run.signal);
    released.release();
    run.abort("run");
    expect(released.controller.signal.aborted).toBe(false);
    expect(linkedController(run.signal).controller.signal.reason).toBe("run");
    expect(linkedController().controller.signal.aborted).toBe(false);
  });
});

describe("orAborted", () => {
  it("gives the promise's answer or failure, and leaves no listener", async () => {
    const { signal } = new AbortController();
    expect(await orAborted(Promise.resolve(1), signal)).toBe(1);
    expect(await orAborted(Promise.resolve(2), undefined)).toBe(2);
    await expect(orAborted(Promise.reject(new Error("own")), signal)).rejects.toThrow("own");
    await nextTurn();
    expect(listenersOf(signal)).toBe(0);
  });

  it("ends with the reason of the signal that aborts first, before or meanwhile, and says that the caller has left", async () => {
    const [run, closed] = [new AbortController(), new AbortController()];
    const reason = new Error("enough");
    const left: unknown[] = [];
    const waiting = orAborted(never, [run.signal, closed.signal], (why) => left.push(why));
    closed.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(orAborted(never, closed.signal, (why) => left.push(why))).rejects.toBe(reason);
    expect(left).toEqual([reason, reason]);
  });

  it("a failure after the caller has left is nobody's", async () => {
    await expect(orAborted(Promise.reject(new Error("own")), AbortSignal.abort(late()))).rejects.toThrow("late");
  });
});

describe("sleep", () => {
  it("lasts as long as it says; an abort ends it with the signal's reason and stops the timer", async () => {
    vi.useFakeTimers();
    const controller = new AbortController();
    let isAwake = false;
    const slept = sleep(1_000).then(() => (isAwake = true));
    const stopped = sleep(1_000, controller.signal);
    await vi.advanceTimersByTimeAsync(999);
    expect(isAwake).toBe(false);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(stopped).rejects.toBe(reason);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    await slept;
  });

  it("longer than timers can wait, it does not end at once", async () => {
    vi.useFakeTimers();
    let isAwake = false;
    void sleep(2 ** 40).then(() => (isAwake = true));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(isAwake).toBe(false);
  });
});

describe("nextTurn", () => {
  it("lets what waits in the event loop run", async () => {
    let hasRun = false;
    setImmediate(() => (hasRun = true));
    await nextTurn();
    expect(hasRun).toBe(true);
  });
});

describe("withDeadline", () => {
  it("gives what the task gives, and leaves neither listeners nor a timer behind", async () => {
    vi.useFakeTimers();
    const run = new AbortController();
    expect(await withDeadline(async () => 7, { timeoutMs: 1_000, signal: [run.signal, undefined], late })).toBe(7);
    expect(listenersOf(run.signal)).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends with the reason of the signal that aborts first, before or meanwhile", async () => {
    const [run, other] = [new AbortController(), new AbortController()];
    const reason = new Error("enough");
    const options = { timeoutMs: 1_000, signal: [run.signal, other.signal], late };
    const task = withDeadline(untilAborted, options);
    other.abort(reason);
    await expect(task).rejects.toBe(reason);
    const neverRun = withDeadline(() => {
      throw new Error("it ran");
    }, options);
    await expect(neverRun).rejects.toBe(reason);
    expect(listenersOf(run.signal)).toBe(0);
  });

  it("ends when time is up", async () => {
    await expect(withDeadline(untilAborted, { timeoutMs: 10, late })).rejects.toThrow("late");
    await expect(withDeadline(untilAborted, { timeoutMs: 10 })).rejects.toThrow(new DeadlineError(10));
  });

  it("ends even if the task heeds no signal, and aborts it", async () => {
    const controller = new AbortController();
    const signals: AbortSignal[] = [];
    const deaf = (signal: AbortSignal): Promise<never> => (signals.push(signal), never);
    await expect(withDeadline(deaf, { timeoutMs: 1, late })).rejects.toThrow("late");
    const waiting = withDeadline(deaf, { timeoutMs: Infinity, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    expect(signals.map(({ reason }) => (reason as Error).message)).toEqual(["late", "enough"]);
  });

  it("a part that fails stops the others", async () => {
    let stopped: unknown;
    const task = withDeadline(
      (signal) =>
        Promise.all([
          untilAborted(signal).catch((reason: unknown) => (stopped = reason)),
          Promise.reject(new Error("a part failed")),
        ]),
      { timeoutMs: 1_000, late },
    );
    await expect(task).rejects.toThrow("a part failed");
    await Promise.resolve();
    expect(stopped).toMatchObject({ message: "a part failed" });
  });

  it("fails with what a task throws before it waits for anything", async () => {
    const task = (): Promise<never> => {
      throw new Error("at once");
    };
    await expect(withDeadline(task, { timeoutMs: 1_000 })).rejects.toThrow("at once");
  });

  it.each([Infinity, 2 ** 31, 2 ** 40])("%d ms is no deadline", async (timeoutMs) => {
    expect(await withDeadline(() => sleep(5).then(() => 1), { timeoutMs, late })).toBe(1);
  });

  it("is late with its error, and hands on what arrives after", async () => {
    const discarded: string[] = [];
    let arrive: (answer: string) => void = () => {};
    const slow = new Promise<string>((resolve) => (arrive = resolve));
    const options = { timeoutMs: 1, late, discard: (answer: string) => discarded.push(answer) };
    await expect(withDeadline(() => slow, options)).rejects.toThrow("late");
    arrive("at last");
    await nextTurn();
    expect(discarded).toEqual(["at last"]);
  });

  it("is not late for what comes in time", async () => {
    const options = { timeoutMs: 1_000, late, discard: () => expect.unreachable() };
    expect(await withDeadline(() => Promise.resolve(1), options)).toBe(1);
    await expect(withDeadline(() => Promise.reject(new Error("own")), options)).rejects.toThrow("own");
  });
});

describe("mapConcurrent", () => {
  it("keeps the order and the limit", async () => {
    let running = 0;
    let most = 0;
    const twice = async (item: number): Promise<number> => {
      most = Math.max(most, ++running);
      await sleep(item % 3);
      running--;
      return item * 2;
    };
    const items = Array.from({ length: 20 }, (_, index) => index);
    expect(await mapConcurrent(items, 4, twice)).toEqual(items.map((item) => item * 2));
    expect(most).toBe(4);
  });

  it("gives the index with the item, and nothing for nothing", async () => {
    expect(await mapConcurrent(["a", "b"], Infinity, async (item, _signal, index) => item + index)).toEqual([
      "a0",
      "b1",
    ]);
    expect(await mapConcurrent([], 2, async () => expect.unreachable())).toEqual([]);
  });

  it("cancels the others and waits for them when one fails", async () => {
    const cancelled: number[] = [];
    const attempt = async (item: number, signal: AbortSignal): Promise<void> => {
      if (item === 1) throw new Error("broken");
      await sleep(10_000, signal).catch(() => cancelled.push(item));
    };
    await expect(mapConcurrent([0, 1, 2, 3], 3, attempt)).rejects.toThrow("broken");
    // 2 had begun when 1 failed; 3 never begins.
    expect(cancelled.sort()).toEqual([0, 2]);
  });

  it("an abort ends it with its reason, whatever the tasks make of it, and begins no more", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    let begun = 0;
    const work = mapConcurrent(
      [0, 1, 2, 3],
      2,
      async (_item, signal) => {
        begun++;
        await untilAborted(signal).catch(() => {
          throw new Error("another error");
        });
      },
      { signal: controller.signal },
    );
    controller.abort(reason);
    await expect(work).rejects.toBe(reason);
    expect(begun).toBe(2);
    await expect(mapConcurrent([1], 1, async () => begun++, { signal: controller.signal })).rejects.toBe(reason);
    expect(begun).toBe(2);
  });

  it("what was done before an abort is no result", async () => {
    const controller = new AbortController();
    const work = mapConcurrent([1], 1, async () => controller.abort(new Error("enough")), {
      signal: controller.signal,
    });
    await expect(work).rejects.toThrow("enough");
    expect(listenersOf(controller.signal)).toBe(0);
  });

  it.each([0, -1, Number.NaN])("refuses to run %d at once", async (limit) => {
    await expect(mapConcurrent([1], limit, async () => {})).rejects.toThrow(RangeError);
  });
});

describe("mapAhead", () => {
  it("gives results in order, with so many under way while one is used", async () => {
    let running = 0;
    let most = 0;
    const twice = async (item: number): Promise<number> => {
      most = Math.max(most, ++running);
      await sleep(5 - (item % 5));
      running--;
      return item * 2;
    };
    async function* source(): AsyncGenerator<number> {
      for (let item = 0; item < 10; item++) yield item;
    }
    const results: number[] = [];
    for await (const result of mapAhead(source(), 3, twice)) {
      results.push(result);
      await sleep(1);
    }
    expect(results).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    expect(most).toBe(3);
  });

  it.each(["an item", "the source"])(
    "%s that fails is told after the results before it; the others are aborted",
    async (who) => {
      const aborted: number[] = [];
      const broken = new Error("broken");
      function* source(): Generator<number> {
        yield* [0, 1, 2];
        if (who === "the source") throw broken;
        yield 3;
      }
      const make = async (item: number, signal: AbortSignal): Promise<number> => {
        if (item === 1 && who === "an item") throw broken;
        if (item < 2) return item;
        return untilAborted(signal).catch(() => aborted.push(item));
      };
      const results: number[] = [];
      const all = (async () => {
        for await (const result of mapAhead(source(), 3, make)) results.push(result);
      })();
      await expect(all).rejects.toBe(broken);
      expect(results).toEqual([0]);
      expect(aborted).toEqual(who === "an item" ? [2, 3] : [2]);
    },
  );

  it("a caller that asks for no more, or gives up, aborts what is under way and waits for it", async () => {
    const stop = new AbortController();
    const ended: number[] = [];
    const make = async (item: number, signal: AbortSignal): Promise<number> => {
      if (item === 0) return item;
      await untilAborted(signal).catch(() => nextTurn());
      ended.push(item);
      throw signal.reason;
    };
    for await (const result of mapAhead([0, 1, 2, 3], 2, make)) {
      expect(result).toBe(0);
      break;
    }
    expect(ended).toEqual([1]);
    const results = mapAhead([0, 1, 2, 3], 2, make, { signal: stop.signal });
    expect((await results.next()).value).toBe(0);
    const next = results.next();
    await nextTurn();
    const reason = new Error("enough");
    stop.abort(reason);
    await expect(next).rejects.toBe(reason);
    expect(ended).toEqual([1, 1, 2]);
    expect(listenersOf(stop.signal)).toBe(0);
    await expect(mapAhead([0], 1, make, { signal: stop.signal }).next()).rejects.toBe(reason);
  });
});

describe("Gate", () => {
  it("lets so many in at once, in order", async () => {
    const gate = new Gate(2);
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const all = [0, 1, 2, 3].map((task) =>
      gate.run(() => {
        begun.push(task);
        return new Promise<number>((resolve) => ends.push(() => resolve(task)));
      }),
    );
    await nextTurn();
    expect(begun).toEqual([0, 1]);
    ends[0]();
    await nextTurn();
    expect(begun).toEqual([0, 1, 2]);
    for (let task = 1; task < 4; task++) {
      ends[task]();
      await nextTurn();
    }
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3]);
  });

  it("a caller that gives up gets its reason at once; a task begun keeps its place, one that waits never begins", async () => {
    const gate = new Gate(1);
    const reason = new Error("enough");
    const first = new AbortController();
    const second = new AbortController();
    let end = (): void => {};
    let begun = 0;
    const running = gate.run(() => new Promise<void>((resolve) => (end = resolve)), { signal: first.signal });
    const waiting = gate.run(async () => void begun++, { signal: second.signal });
    first.abort(reason);
    second.abort(reason);
    await expect(running).rejects.toBe(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(gate.size).toBe(1);
    const next = gate.run(async () => "next");
    let isIdle = false;
    void gate.idle().then(() => (isIdle = true));
    await nextTurn();
    expect(isIdle).toBe(false);
    end();
    expect(await next).toBe("next");
    expect(gate.size).toBe(0);
    await gate.idle();
    expect(begun).toBe(0);
  });

  it("gives a place back when its task fails, also at once", async () => {
    const gate = new Gate(1);
    const thrown = gate.run(() => {
      throw new Error("at once");
    });
    await expect(thrown).rejects.toThrow("at once");
    await expect(gate.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await gate.run(() => Promise.resolve(3))).toBe(3);
  });

  it("lets through as many as it says, in all and of one key", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 30 }), async (hosts) => {
        const gate = new Gate(4, { perKey: 2 });
        const now = new Map<string, number>();
        let [most, mostAtHost, done] = [0, 0, 0];
        const task = (host: string) => async (): Promise<void> => {
          now.set(host, (now.get(host) ?? 0) + 1);
          mostAtHost = Math.max(mostAtHost, ...now.values());
          most = Math.max(
            most,
            [...now.values()].reduce((sum, count) => sum + count, 0),
          );
          await nextTurn();
          now.set(host, (now.get(host) as number) - 1);
          done++;
          if (done % 5 === 0) throw new Error("a task that fails gives its place back");
        };
        await Promise.allSettled(hosts.map((key) => gate.run(task(key), { key })));
        expect(done).toBe(hosts.length);
        expect(most).toBe(
          Math.min(
            4,
            ["a", "b", "c"].reduce((sum, host) => sum + Math.min(2, hosts.filter((name) => name === host).length), 0),
          ),
        );
        expect(mostAtHost).toBeLessThanOrEqual(2);
      }),
      { numRuns: 30, seed: 71 },
    ));

  it("tasks that wait for a busy key do not hold up others, and may give up", async () => {
    const gate = new Gate(3, { perKey: 1 });
    let release = (): void => undefined;
    const slow = gate.run(() => new Promise<void>((resolve) => (release = resolve)), { key: "slow" });
    const stop = new AbortController();
    const { signal } = stop;
    const waiting = [1, 2, 3, 4].map(() => gate.run(nextTurn, { key: "slow", signal }));
    const settled = Promise.allSettled(waiting);
    expect(await gate.run(async () => "served", { key: "quick" })).toBe("served");
    const reason = new Error("enough");
    stop.abort(reason);
    for (const outcome of await settled) expect(outcome).toEqual({ status: "rejected", reason });
    release();
    await slow;
    expect(await gate.run(async () => "served", { key: "slow" })).toBe("served");
    await expect(gate.run(nextTurn, { key: "slow", signal })).rejects.toBe(reason);
  });

  it.each([0, -1, Number.NaN])("refuses a limit of %d", (limit) => {
    expect(() => new Gate(limit)).toThrow(RangeError);
    expect(() => new Gate(1, { perKey: limit })).toThrow(RangeError);
  });
});

describe("drain", () => {
  const busyMs = 3;
  function* steps(count: number): Generator<number, string> {
    for (let step = 0; step < count; step++) {
      const until = performance.now() + busyMs;
      while (performance.now() < until);
      yield step;
    }
    return "done";
  }

  it("gives what the generator returns, and lets other work run meanwhile", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const told: number[] = [];
    expect(await drain(steps(30), { onStep: (step) => told.push(step) })).toBe("done");
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
    expect(told.length).toBeGreaterThan(5);
    expect(told.length).toBeLessThan(30);
  });

  it("ends with the signal's reason", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 5);
    await expect(drain(steps(1_000), { signal: stop.signal })).rejects.toBe(reason);
  });
});

describe("mapInSlices", () => {
  const busy = (number: number): number => {
    for (const began = performance.now(); performance.now() - began < 6;);
    return 2 * number;
  };

  it("keeps the order, and lets other work run meanwhile", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    expect(await mapInSlices([1, 2, 3, 4], busy)).toEqual([2, 4, 6, 8]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
  });

  it("ends with the signal's reason", async () => {
    const controller = new AbortController();
    const done = mapInSlices(
      Array.from({ length: 1000 }, (_, index) => index),
      busy,
      controller.signal,
    );
    setTimeout(() => controller.abort(new Error("enough")), 1);
    await expect(done).rejects.toThrow("enough");
  });
});
