/** @file The client of services against a service in a function: what every owner of one can rely on. */
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { ServiceFailure, type HttpTools, type ServiceRequest } from "./request.js";
import { defaultService, Service, type ErrorDetails } from "./service.js";

class OwnerError extends Error {
  readonly details: ErrorDetails;

  constructor(message: string, details: ErrorDetails) {
    super(message, { cause: details.cause });
    this.details = details;
  }
}

const url = "http://service.test/ask";

type Answer = (request: number, body: string, signal: AbortSignal) => Response | Promise<Response>;
type ServiceOptions = ConstructorParameters<typeof Service>[0];
type Given = Partial<Omit<ServiceOptions, "settings">> & { settings?: Partial<ServiceOptions["settings"]> };

/** A service in a function: bodies and waits are recorded. */
function serving(answer: Answer, { settings, ...options }: Given = {}, more: Partial<HttpTools> = {}) {
  const bodies: string[] = [];
  const waits: number[] = [];
  const service = new Service(
    {
      title: "Test service",
      url,
      settings: { ...defaultService, ...settings },
      error: (message, details) => new OwnerError(message, details),
      ...options,
    },
    {
      fetch: async (_, init) => {
        bodies.push((init?.body as string | undefined) ?? "");
        return answer(bodies.length, bodies.at(-1) as string, init?.signal as AbortSignal);
      },
      sleep: async (ms, signal) => {
        signal?.throwIfAborted();
        waits.push(ms);
      },
      random: () => 0.5,
      now: () => Date.UTC(2026, 0, 1),
      ...more,
    },
  );
  const ask = (request: Partial<ServiceRequest> = {}, signal?: AbortSignal): Promise<unknown> =>
    service.call(signal, (whole) => service.json({ url, body: "{}", ...request }, whole, (answer) => answer));
  return { service, ask, bodies, waits };
}

async function failureOf(work: Promise<unknown>): Promise<OwnerError> {
  const failure: unknown = await work.catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(OwnerError);
  return failure as OwnerError;
}

const busy = (status = 503, headers: Record<string, string> = {}): Response =>
  new Response("busy", { status, headers });
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

describe("failures", () => {
  it("are the owner's error: title, address, reason, number of tries, advice", async () => {
    const { ask } = serving(() => busy(), {
      settings: { retries: 2 },
      advice: ({ status }) => (status === 503 ? "Wait." : ""),
    });
    const failure = await failureOf(ask());
    expect(failure.message).toBe(
      'Test service http://service.test/ask: the server answered 503: "busy" (tried 3 times). Wait.',
    );
    expect(failure.details).toMatchObject({ url, isRetryable: true, status: 503 });
  });

  it("keep their cause where nothing is secret, and only there", async () => {
    const broken = (): never => {
      throw new TypeError("fetch failed", { cause: new Error("refused for s3cret") });
    };
    const open = await failureOf(serving(broken, { settings: { retries: 0 } }).ask());
    expect(open.cause).toBeInstanceOf(TypeError);
    const { ask } = serving(broken, { settings: { retries: 0 }, secrets: ["s3cret"] });
    const closed = await failureOf(ask());
    expect(closed.message).toContain("the request failed: refused for [key]");
    expect(inspect(closed, { depth: 9 })).not.toContain("s3cret");
  });

  it("of addresses show no values of the query", async () => {
    const { ask } = serving(() => busy(400), { url: "http://service.test/ask?index=mine#part" });
    expect((await failureOf(ask())).message).toContain("http://service.test/ask?index=…#part: the server answered 400");
  });

  it("hide secrets, in headers too, in every form in which a server may quote them", async () => {
    const secret = 'pass"w/rd+';
    const quote = `${secret} ${encodeURIComponent(secret)} ${JSON.stringify(secret)} t0ken ${"x".repeat(100)} ${secret}`;
    const { ask } = serving(() => new Response(quote, { status: 400 }), {
      secrets: [secret, ""],
      settings: { headers: { authorization: "Bearer t0ken" } },
    });
    const { message } = await failureOf(ask());
    expect(message).not.toMatch(/pass|w%2Frd|t0ken/);
    expect(message).toContain("[key] [key]");
  });

  it("keys are taken out of answers before these are read: passages, caches and traces hold none", async () => {
    const key = "s3cret-0f-mine";
    const { ask } = serving(() => Response.json([{ text: `You asked with Bearer ${key}.` }]), {
      settings: { headers: { authorization: `Bearer ${key}` } },
    });
    expect(await ask()).toEqual([{ text: "You asked with Bearer [key]." }]);
  });

  it.each<[string, string, RegExp]>([
    ["HTML", "<html>\n  Login</html>", /not JSON: "<html> Login<\/html>"/],
    ["NaN, as Python writes it", '{"score": NaN}', /holds NaN, which Python writes/],
    ["minus infinity", "[-Infinity]", /holds -Infinity/],
    ["NaN in a text that is cut off", '{"text": "NaN', /not JSON: "\{\\"text/],
  ])("%s is not JSON", async (_, text, message) => {
    const { ask, bodies } = serving(() => new Response(text));
    const failure = await failureOf(ask());
    expect(failure.message).toMatch(message);
    expect(failure.details).toMatchObject({ isRetryable: false, status: 200 });
    expect(bodies).toHaveLength(1);
  });

  it("what a reader throws becomes the owner's error; what else goes wrong stays what it is", async () => {
    const { service } = serving(() => Response.json({}));
    const read = (error: Error): Promise<unknown> =>
      service.call(undefined, (signal) =>
        service.json({ url }, signal, () => {
          throw error;
        }),
      );
    expect((await failureOf(read(new ServiceFailure("it has no list")))).details).toMatchObject({
      isRetryable: false,
      status: 200,
    });
    const bug = new TypeError("a bug");
    await expect(read(bug)).rejects.toBe(bug);
    expect(service.counts()).toEqual({ requests: 2, retries: 0, failures: 1, breakerOpen: 0 });
  });
});

describe("retries", () => {
  it("wait twice as long each time, and as long as the server wants", async () => {
    const answers = [busy(), busy(), busy(429, { "retry-after": "7" }), Response.json(1)];
    const rests: number[] = [];
    const { ask, waits, service } = serving((request) => answers[request - 1], {
      onRetryAfter: (ms) => rests.push(ms),
    });
    expect(await ask()).toBe(1);
    expect(waits).toEqual([187.5, 375, 7000]);
    expect(rests).toEqual([7000]);
    expect(service.counts()).toEqual({ requests: 4, retries: 3, failures: 0, breakerOpen: 0 });
  });

  it("are not made where the owner knows from the words that they would not help", async () => {
    const { ask, bodies } = serving(() => new Response("all used up", { status: 429 }), {
      isFinal: (status, words) => status === 429 && words.includes("used up"),
    });
    expect((await failureOf(ask())).details).toMatchObject({ isRetryable: false, status: 429 });
    expect(bodies).toHaveLength(1);
  });

  it("may ask for something else, where a reader wants a part again", async () => {
    const { service, bodies } = serving((_, body) => Response.json(body));
    const missing = ["a", "b"];
    const answer = await service.call(undefined, (signal) =>
      service.json({ url, body: () => missing.join() }, signal, (answer) => {
        missing.shift();
        if (missing.length > 0) throw new ServiceFailure("one is missing", { isRetryable: true, retryAfterMs: 0 });
        return answer;
      }),
    );
    expect([answer, bodies]).toEqual(["b", ["a,b", "b"]]);
    expect(service.counts()).toMatchObject({ requests: 2, retries: 1 });
  });

  it("wait for the budget each time, and what it throws ends the call as it is", async () => {
    const spent = new Error("spent");
    let left = 2;
    const beforeRequest = (): Promise<void> => (left-- > 0 ? Promise.resolve() : Promise.reject(spent));
    const { ask, service } = serving(() => busy(), {}, { beforeRequest });
    await expect(ask()).rejects.toBe(spent);
    expect(service.counts()).toMatchObject({ requests: 2 });
  });
});

describe("time", () => {
  it("a deadline ends a call whatever its tries, and says so", async () => {
    const { ask } = serving((_, __, signal) => untilAborted(signal), {
      settings: { timeoutMs: 20, deadlineMs: 50, retries: 1_000 },
    });
    const failure = await failureOf(ask());
    expect(failure.message).toContain("no answer within 50 ms, retries included");
    expect(failure.details.isRetryable).toBe(true);
  });

  it("a caller that gives up gets its own reason, before and meanwhile", async () => {
    const reason = new Error("enough");
    const { ask, bodies } = serving((_, __, signal) => untilAborted(signal));
    const caller = new AbortController();
    const asked = ask({}, caller.signal);
    await new Promise((resolve) => setImmediate(resolve));
    expect(bodies).toHaveLength(1);
    caller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await expect(ask({}, caller.signal)).rejects.toBe(reason);
    expect(bodies).toHaveLength(1);
  });

  it("a close ends calls under way and refuses later ones", async () => {
    const { ask, service } = serving((_, __, signal) => untilAborted(signal));
    const asked = failureOf(ask());
    service.close();
    service.close("again");
    expect((await asked).message).toBe(`Test service ${url}: it is closed.`);
    expect((await failureOf(ask())).details.isRetryable).toBe(false);
  });
});

it("a service that keeps failing is left alone: calls fail at once, and the counts say so", async () => {
  const { ask, service, bodies } = serving(() => busy(), {
    settings: { retries: 3, breaker: { failuresInRow: 2, restMs: 60_000 } },
  });
  expect((await failureOf(ask())).message).toMatch(/left alone.*2 requests in a row.*503.*\(tried 2 times\)/);
  const refused = await failureOf(ask());
  expect(refused.message).toMatch(/left alone for another \d+ ms/);
  expect(refused.details.isRetryable).toBe(true);
  expect(bodies).toHaveLength(2);
  expect(service.counts()).toEqual({ requests: 2, retries: 1, failures: 2, breakerOpen: 1 });
});

it("the beginning of a failed answer is enough: one without end is cut off", async () => {
  const endless = new ReadableStream({ pull: (stream) => stream.enqueue(Buffer.from("no ".repeat(10_000))) });
  const { ask } = serving(() => new Response(endless, { status: 400 }));
  expect((await failureOf(ask())).message).toMatch(/answered 400: "no no .*…"/);
});
