import { describe, expect, it } from "vitest";
import { CircuitBreaker } from "./breaker.js";
import { ServiceFailure } from "./request.js";

const failure = (status?: number) => new ServiceFailure("it is down", { isRetryable: true, status });

function breakerAt(failuresInRow = 3, restMs = 1000) {
  const clock = { now: 0 };
  const breaker = new CircuitBreaker({ failuresInRow, restMs }, () => clock.now);
  let asked = 0;
  const ask = (error?: Error): Promise<string> =>
    breaker.run(async () => {
      asked++;
      if (error !== undefined) throw error;
      return "answer";
    });
  const failTimes = async (times: number, error: Error = failure()): Promise<void> => {
    for (let i = 0; i < times; i++) await expect(ask(error)).rejects.toBe(error);
  };
  return { breaker, clock, ask, failTimes, asked: () => asked };
}

describe("circuit breaker", () => {
  it("opens after so many failures in a row, and then fails at once with a retryable error that says why", async () => {
    const { breaker, ask, failTimes, asked } = breakerAt();
    await failTimes(3);
    const refused = ask();
    await expect(refused).rejects.toBeInstanceOf(ServiceFailure);
    await expect(refused).rejects.toMatchObject({ isRetryable: true, retryAfterMs: undefined });
    await expect(refused).rejects.toThrow(/left alone for another 1000 ms.*3 requests in a row.*it is down/);
    expect([asked(), breaker.opened, breaker.refused]).toEqual([3, 1, 1]);
  });

  it("a success in between starts the count anew", async () => {
    const { ask, failTimes, breaker } = breakerAt();
    await failTimes(2);
    await ask();
    await failTimes(2);
    expect(await ask()).toBe("answer");
    expect(breaker.opened).toBe(0);
  });

  it("after the rest one probe passes alone; its success closes the breaker", async () => {
    const { breaker, clock, ask, failTimes } = breakerAt();
    await failTimes(3);
    clock.now = 1000;
    let finish: (answer: string) => void = () => undefined;
    const probe = breaker.run(() => new Promise<string>((resolve) => (finish = resolve)));
    await expect(ask()).rejects.toThrow(/until a probe has succeeded/);
    finish("well again");
    expect(await probe).toBe("well again");
    expect(await ask()).toBe("answer");
  });

  it("a probe that fails opens it for another rest", async () => {
    const { breaker, clock, ask, failTimes } = breakerAt();
    await failTimes(3);
    clock.now = 1000;
    await failTimes(1);
    clock.now = 1999;
    await expect(ask()).rejects.toThrow(/another 1 ms/);
    clock.now = 2000;
    expect(await ask()).toBe("answer");
    expect(breaker.opened).toBe(2);
  });

  it("a probe whose caller gave up says nothing: the next request is the probe", async () => {
    const { clock, ask, failTimes } = breakerAt();
    await failTimes(3);
    clock.now = 1000;
    await failTimes(1, new Error("changed my mind"));
    expect(await ask()).toBe("answer");
  });

  it("a server that refuses or is busy is alive", async () => {
    const { ask, failTimes } = breakerAt();
    await failTimes(2);
    await failTimes(5, failure(429));
    await failTimes(2);
    await failTimes(5, new ServiceFailure("no such index", { status: 404 }));
    expect(await ask()).toBe("answer");
  });

  it("requests under way when it opens do not prolong the rest; 0 failures never open it", async () => {
    const { breaker, clock, ask, failTimes } = breakerAt(2);
    const late: ((error: Error) => void)[] = [];
    const underWay = [1, 2].map(() => breaker.run(() => new Promise((_, reject) => late.push(reject))));
    await failTimes(2);
    clock.now = 500;
    late.forEach((reject) => reject(failure()));
    await Promise.allSettled(underWay);
    clock.now = 1000;
    expect(await ask()).toBe("answer");
    expect(breaker.opened).toBe(1);

    const never = breakerAt(0);
    await never.failTimes(50);
    expect(await never.ask()).toBe("answer");
  });
});
