/** @file Web search against services that are slow, down, used up, talk nonsense or repeat our keys. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { HttpTools } from "../../http/request.js";
import { SearchError } from "../engine.js";
import { openEngine } from "../open.js";
import { defaultEngineSettings } from "../settings.js";
import { openWeb, WebEngine } from "./engine.js";
import { webProviders } from "./providers.js";
import type { WebEngineName } from "./providers.js";

const key = "k3y/with+signs&more=";
const names = Object.keys(webProviders) as WebEngineName[];

interface Asked {
  url: URL;
  method: string;
  headers: Headers;
  body: string;
  redirect?: string;
}

/** A service in a function: answers come from `answer`, requests and waits are recorded. */
function scripted(
  answer: (asked: Asked, request: number) => Response | Promise<Response>,
  settings: Partial<ConstructorParameters<typeof WebEngine>[0]> = {},
) {
  const requests: Asked[] = [];
  const waits: number[] = [];
  const tools: HttpTools = {
    fetch: async (input, init) => {
      const asked: Asked = {
        url: new URL(String(input)),
        method: init?.method ?? "GET",
        headers: new Headers(init?.headers),
        body: (init?.body as string | undefined) ?? "",
        redirect: init?.redirect,
      };
      requests.push(asked);
      init?.signal?.throwIfAborted();
      return answer(asked, requests.length);
    },
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      waits.push(ms);
    },
    random: () => 0.5,
    now: () => Date.UTC(2026, 0, 1),
  };
  const provider = settings.provider ?? "brave";
  const given = { keys: [key, "engine-id"], ...(provider === "searxng" ? { endpoint: "http://searx.test" } : {}) };
  return { engine: new WebEngine({ ...given, ...settings, provider }, tools), requests, waits };
}

const found = (...urls: string[]): Response =>
  Response.json({
    web: { results: urls.map((url) => ({ title: `T ${url}`, url, description: `about <b>${url}</b>` })) },
  });
const nothing = (): Response => Response.json({ web: { results: [] } });

async function failureOf(engine: WebEngine): Promise<SearchError> {
  const failure = (await engine.searchBatch(["owl"], 3).catch((error: unknown) => error)) as SearchError;
  expect(failure).toBeInstanceOf(SearchError);
  expect(failure).toMatchObject({ engine: engine.name, url: engine.endpoint });
  return failure;
}

describe("asking", () => {
  it("gives address, title, snippet and 1/rank", async () => {
    const { engine, requests } = scripted(() => found("https://a.org/1", "https://b.org/2"));
    expect(await engine.searchBatch(["owl"], 2)).toEqual([
      [
        { id: "https://a.org/1", title: "T https://a.org/1", text: "about https://a.org/1", score: 1 },
        { id: "https://b.org/2", title: "T https://b.org/2", text: "about https://b.org/2", score: 0.5 },
      ],
    ]);
    expect(requests[0].url.href).toBe("https://api.search.brave.com/res/v1/web/search?q=owl&count=20");
    expect(engine.counts()).toEqual({ requests: 1, retries: 0, failures: 0, breakerOpen: 0 });
  });

  it("asks each distinct query once, and none for nothing", async () => {
    const { engine, requests } = scripted(({ url }) => found(`https://x.org/${url.searchParams.get("q")}`));
    const results = await engine.searchBatch(["a", "b", "a", " ", "\u0000", "b"], 1);
    expect(results.map(([passage]) => passage?.id)).toEqual([
      "https://x.org/a",
      "https://x.org/b",
      "https://x.org/a",
      undefined,
      undefined,
      "https://x.org/b",
    ]);
    expect(requests.map(({ url }) => url.searchParams.get("q"))).toEqual(["a", "b"]);
  });

  it("keeps to the number of queries at once, over all calls", async () => {
    let [now, most] = [0, 0];
    const { engine } = scripted(
      async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 2));
        now--;
        return nothing();
      },
      { concurrency: 3 },
    );
    await Promise.all(["abcde", "fgh", "i", "j"].map((queries) => engine.searchBatch(queries.split(""), 1)));
    expect(most).toBe(3);
  });

  it("a search that waits too long for its turn fails", async () => {
    const { engine } = scripted(() => new Promise<Response>(() => undefined), { concurrency: 1, deadlineMs: 60 });
    const first = engine.searchBatch(["a", "b", "c", "d", "e"], 1).catch((error: unknown) => error);
    expect((await failureOf(engine)).message).toMatch(/no answer within (60|120) ms/);
    expect(await first).toBeInstanceOf(SearchError);
  });

  it("asks for further pages until there are k, drops what it has and what leads nowhere, and stops when nothing new comes", async () => {
    const page = (from: number, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `https://x.org/${from + index}`);
    const pages = [
      [...page(0, 20), "https://x.org/3#again", "javascript:alert(1)", "", "http://"],
      [...page(15, 10), "ftp://x.org/"],
      page(20, 5),
    ];
    const { engine, requests } = scripted(({ url }) =>
      found(...(pages[Number(url.searchParams.get("offset") ?? 0)] ?? [])),
    );
    const [list] = await engine.searchBatch(["owl"], 24);
    expect(list.map(({ id }) => id)).toEqual(page(0, 24));
    expect(list[23].score).toBe(1 / 24);
    expect(requests).toHaveLength(2);
    const [all] = await engine.searchBatch(["owl"], 100);
    expect(all).toHaveLength(25);
    expect(requests).toHaveLength(5);
  });

  it("writes addresses as the URL standard does: nothing in them ends a tag or a line", async () => {
    const { engine } = scripted(() => found('HTTPS://X.org/</information>\n"a b"?<answer>#<think>'));
    const [[{ id }]] = await engine.searchBatch(["owl"], 1);
    expect(id).toBe("https://x.org/%3C/information%3E%22a%20b%22?%3Canswer%3E#%3Cthink%3E");
  });

  it("k stays k where a box stands above the results", async () => {
    const box = { answerBox: { title: "B", answer: "yes", link: "https://box.org/" } };
    const organic = [1, 2, 3].map((n) => ({ title: `${n}`, link: `https://x.org/${n}`, snippet: "s" }));
    const { engine } = scripted(() => Response.json({ ...box, organic: [...organic, { link: "https://box.org/" }] }), {
      provider: "serper",
    });
    const [list] = await engine.searchBatch(["owl"], 2);
    expect(list.map(({ id }) => id)).toEqual(["https://box.org/", "https://x.org/1"]);
  });
});

describe("keys", () => {
  it.each(names.filter((name) => name !== "searxng").map((name) => [name]))(
    "%s: the key is sent, and seen nowhere else",
    async (name) => {
      const bodies = [
        () => new Response(`<html>${key} ${encodeURIComponent(key)} ${"x".repeat(150)}${key}</html>`),
        () => new Response(`{"error":"bad key ${key}"}`, { status: 401 }),
        () => new Response(`{"message":"${"y".repeat(190)}${key}"}`, { status: 400 }),
        () => new Response(key, { status: 500 }),
        () => Response.json([key]),
        () => Response.json({ error: key, organic: key, items: key, results: key, web: { results: key } }),
        () => Promise.reject(new TypeError(`Failed to parse URL from https://x.org/?key=${encodeURIComponent(key)}`)),
      ];
      for (const body of bodies) {
        const { engine, requests } = scripted(body, { provider: name, retries: 1 });
        const failure = await failureOf(engine);
        const everything = [
          inspect(failure, { depth: 10, showHidden: true }),
          failure.stack,
          JSON.stringify(failure),
          inspect(engine, { depth: 10 }),
          JSON.stringify(engine),
        ];
        for (const text of everything)
          for (const form of [key, encodeURIComponent(key), key.slice(0, 12), encodeURIComponent(key).slice(0, 12)])
            expect(text).not.toContain(form);
        const [{ url, headers, body: sent }] = requests;
        const inHeader = [...headers.values()].some((value) => value.includes(key));
        expect([inHeader, url.href.includes(encodeURIComponent(key)), sent.includes(key)]).toEqual([
          name !== "serpapi",
          name === "serpapi",
          false,
        ]);
      }
    },
  );

  it("a redirect is not followed: it would carry the key away", async () => {
    const { engine, requests } = scripted(
      () => new Response(null, { status: 302, headers: { location: "https://evil.org/" } }),
    );
    expect((await failureOf(engine)).message).toContain("redirects to https://evil.org, where");
    expect(requests).toHaveLength(1);
    expect(requests[0].redirect).toBe("manual");
  });

  it.each(names.filter((name) => name !== "searxng").map((name) => [name]))(
    "%s: a key that is missing is named, with where to get one",
    async (name) => {
      const { keys, keysFrom } = webProviders[name];
      const settings = { ...defaultEngineSettings, engine: name };
      const environment: Record<string, string> = {};
      for (const variable of keys) {
        const failure = (await openWeb(name, settings, { environment }).catch((error: unknown) => error)) as UserError;
        expect(failure).toBeInstanceOf(UserError);
        expect(failure.message).toContain(variable);
        expect(failure.message).toContain(keysFrom);
        environment[variable] = ` ${key}\n`;
      }
      const engine = await openWeb(name, settings, { environment });
      expect(engine.name).toBe(name);
      await engine.close();
    },
  );

  it("a key that could not be sent is refused without being shown", () => {
    for (const wrong of ["two words", "line\nbreak", "sm\u0131le", "\u0000x"]) {
      const open = (): WebEngine => new WebEngine({ provider: "tavily", keys: [wrong] });
      expect(open).toThrow(UserError);
      expect(open).toThrow(
        /^TAVILY_API_KEY holds spaces, line breaks or other characters that no key has\. Copy it again\.$/,
      );
    }
  });

  it("SearXNG needs an address instead", async () => {
    await expect(openEngine({ engine: "searxng" })).rejects.toThrow(/search\.url/);
    for (const [url, endpoint] of [
      ["http://127.0.0.1:8080", "http://127.0.0.1:8080/search"],
      ["http://127.0.0.1:8080/", "http://127.0.0.1:8080/search"],
      ["https://h/searx/?categories=science", "https://h/searx/search?categories=science"],
      ["https://h/searx/search", "https://h/searx/search"],
    ])
      expect((await openWeb("searxng", { ...defaultEngineSettings, url }, {})).endpoint).toBe(endpoint);
    for (const url of ["localhost:8080", "ftp://h", "http://user:secret@h"])
      await expect(openWeb("searxng", { ...defaultEngineSettings, url }, {})).rejects.toThrow(UserError);
  });
});

describe("failures", () => {
  it.each<[string, WebEngineName, number, string, RegExp, boolean, number]>([
    [
      "a wrong key",
      "serper",
      403,
      '{"message":"Unauthorized.","statusCode":403}',
      /Check SERPER_API_KEY; keys: https:\/\/serper\.dev/,
      false,
      1,
    ],
    ["a wrong key", "serpapi", 401, '{"error":"Invalid API key."}', /Check SERPAPI_API_KEY/, false, 1],
    [
      "a wrong key",
      "google",
      400,
      '{"error":{"code":400,"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}',
      /Check GOOGLE_API_KEY and GOOGLE_CSE_ID/,
      false,
      1,
    ],
    [
      "a wrong key",
      "brave",
      422,
      '{"error":{"code":"SUBSCRIPTION_TOKEN_INVALID","status":422}}',
      /Check BRAVE_API_KEY/,
      false,
      1,
    ],
    [
      "a wrong key",
      "tavily",
      401,
      '{"detail":{"error":"Unauthorized: missing or invalid API key."}}',
      /Check TAVILY_API_KEY/,
      false,
      1,
    ],
    [
      "an account used up",
      "serper",
      400,
      '{"message":"Not enough credits","statusCode":400}',
      /account behind SERPER_API_KEY is used up/,
      false,
      1,
    ],
    [
      "an account used up, under 429",
      "serpapi",
      429,
      '{"error":"Your account has run out of searches."}',
      /account behind SERPAPI_API_KEY is used up/,
      false,
      1,
    ],
    [
      "a day's quota used up, under 429",
      "google",
      429,
      '{"error":{"message":"Quota exceeded for quota metric \'Queries\' and limit \'Queries per day\'"}}',
      /used up/,
      false,
      1,
    ],
    [
      "a day's quota used up, under 403",
      "google",
      403,
      '{"error":{"errors":[{"reason":"dailyLimitExceeded"}]}}',
      /used up/,
      false,
      1,
    ],
    [
      "a plan's limit",
      "tavily",
      432,
      '{"detail":{"error":"This request exceeds your plan\'s set usage limit."}}',
      /used up/,
      false,
      1,
    ],
    ["a payment that is due", "brave", 402, "{}", /used up/, false, 1],
    [
      "too fast",
      "brave",
      429,
      '{"error":{"code":"RATE_LIMITED","status":429}}',
      /answered 429.*tried 3 times/,
      true,
      3,
    ],
    [
      "too fast",
      "google",
      429,
      '{"error":{"message":"limit \'Queries per minute\'"}}',
      /answered 429.*tried 3 times/,
      true,
      3,
    ],
    ["down", "serper", 503, "", /answered 503.*tried 3 times/, true, 3],
    [
      "a query it does not like",
      "tavily",
      400,
      '{"detail":{"error":"Query is invalid."}}',
      /answered 400: .*Query is invalid/,
      false,
      1,
    ],
    [
      "JSON switched off",
      "searxng",
      403,
      "<!doctype html><title>403 Forbidden</title>",
      /put "json" beside "html" under "search: formats:"/,
      false,
      1,
    ],
    ["its limiter", "searxng", 429, "Too Many Requests", /"limiter: false"/, true, 3],
  ])("%s (%s, %i)", async (_, provider, status, body, message, isRetryable, tries) => {
    const { engine, requests } = scripted(() => new Response(body, { status }), { provider, retries: 2 });
    const failure = await failureOf(engine);
    expect(failure.message).toMatch(message);
    expect(failure.isRetryable).toBe(isRetryable);
    expect(requests).toHaveLength(tries);
    expect(engine.counts()).toEqual({ requests: tries, retries: tries - 1, failures: 1, breakerOpen: 0 });
  });

  it.each<[string, string, RegExp]>([
    ["HTML", "<!doctype html><html>Login</html>", /not JSON: "<!doctype html>/],
    ["half an answer", '{"web":{"results":[', /not JSON/],
    ["a list", "[]", /not an object/],
    ["null", "null", /not an object/],
    ["results that are no list", '{"web":{"results":{}}}', /"results" must be a list/],
  ])("%s in place of an answer fails at once", async (_, body, message) => {
    const { engine, requests } = scripted(() => new Response(body));
    const failure = await failureOf(engine);
    expect(failure.message).toMatch(message);
    expect(failure.isRetryable).toBe(false);
    expect(requests).toHaveLength(1);
  });

  it("recovers after a failure that passes, and waits as long as it is told", async () => {
    const { engine, waits } = scripted((_, request) =>
      request === 1 ? new Response("", { status: 429, headers: { "retry-after": "2" } }) : found("https://x.org/"),
    );
    expect((await engine.searchBatch(["owl"], 1))[0]).toHaveLength(1);
    expect(waits).toEqual([2000]);
  });

  it("a service that hangs is left at the deadline of the search, however many tries it takes", async () => {
    const hang = (asked: { signal?: AbortSignal | null }): Promise<Response> =>
      new Promise((_, reject) => asked.signal?.addEventListener("abort", () => reject(asked.signal?.reason as Error)));
    const fetch: typeof globalThis.fetch = (_, init) => hang(init ?? {});
    const engine = new WebEngine(
      { provider: "tavily", keys: ["k"], timeoutMs: 40, deadlineMs: 100, firstDelayMs: 1 },
      { fetch },
    );
    const failure = await failureOf(engine);
    expect(failure.message).toContain("no answer within 100 ms, retries included");
    expect(failure.isRetryable).toBe(true);
  });

  it("a service that fails again and again is left alone for a while", async () => {
    const breaker = { failuresInRow: 3, restMs: 60_000 };
    const { engine, requests } = scripted(() => new Response(key, { status: 503 }), { retries: 1, breaker });
    for (let search = 0; search < 4; search++) await failureOf(engine);
    const failure = await failureOf(engine);
    expect(failure.message).toMatch(
      /left alone for another \d+ ms, since 3 requests in a row have failed.*503: "\[key\]"/,
    );
    expect(failure.isRetryable).toBe(true);
    expect(requests).toHaveLength(3);
    expect(engine.counts()).toMatchObject({ breakerOpen: 1 });
  });

  it("one query that is refused takes no other along; where all are, the search fails", async () => {
    const { engine } = scripted(({ url }) =>
      url.searchParams.get("q") === "a" ? new Response("", { status: 422 }) : nothing(),
    );
    const lists = await engine.searchBatch(["b", "a", "", "c"], 1);
    expect(lists.map(({ refused }) => refused !== undefined)).toEqual([false, true, false, false]);
    expect(lists[1].refused).toContain("answered 422");
    await expect(engine.searchBatch(["a", ""], 1)).rejects.toMatchObject({ status: 422 });
  });

  it("one query that fails stops the others", async () => {
    const { engine, requests } = scripted(
      ({ url }) => (url.searchParams.get("q") === "a" ? new Response("", { status: 403 }) : nothing()),
      { concurrency: 2 },
    );
    await expect(engine.searchBatch("abcdefgh".split(""), 1)).rejects.toBeInstanceOf(SearchError);
    expect(requests.length).toBeLessThan(5);
  });

  it("what a budget throws before a request comes out as it is, and no request is made", async () => {
    const spent = new SearchError("the budget is used up", { engine: "budget", isRetryable: false });
    const engine = new WebEngine(
      { provider: "tavily", keys: ["k"] },
      { beforeRequest: () => Promise.reject(spent), fetch: () => expect.fail() },
    );
    await expect(engine.searchBatch(["owl"], 1)).rejects.toBe(spent);
    expect(engine.counts()).toMatchObject({ requests: 0 });
  });

  it("a caller who gives up gets its own reason; a closed engine says so", async () => {
    const reason = new Error("enough");
    const stop = new AbortController();
    const { engine } = scripted(() => {
      stop.abort(reason);
      return new Response("", { status: 503 });
    });
    await expect(engine.searchBatch(["owl"], 1, { signal: stop.signal })).rejects.toBe(reason);
    await engine.close();
    await engine.close();
    expect(await failureOf(engine)).toMatchObject({
      isRetryable: false,
      message: expect.stringContaining("closed") as string,
    });
  });
});

describe("opened by name", () => {
  const environment = { BRAVE_API_KEY: key };

  it("a budget bounds its requests, and the list price makes the bill", async () => {
    const fetch: typeof globalThis.fetch = async () => found("https://x.org/");
    const engine = await openEngine({ engine: "brave", maxRequests: 3 }, { environment, http: { fetch } });
    await engine.searchBatch(["a", "b", "a"], 1);
    expect(engine.counts?.()).toMatchObject({ requests: 2, spentUsd: 0.01 });
    const failure = await engine.searchBatch(["c", "d"], 1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SearchError);
    expect(failure).toMatchObject({ isRetryable: false });
    await engine.close();
  });

  it("answers are recorded without the key, and replayed without one", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sleuth-web-"));
    try {
      const fetch: typeof globalThis.fetch = async () => found("https://x.org/");
      const settings = { engine: "brave", cache: folder };
      const engine = await openEngine(settings, { environment, http: { fetch } });
      const answer = await engine.searchBatch(["owl"], 1);
      await engine.close();
      const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
        .map((name) => join(folder, name))
        .filter((path) => statSync(path).isFile());
      expect(files.length).toBeGreaterThan(0);
      for (const file of files) {
        const bytes = readFileSync(file);
        for (const form of [key, encodeURIComponent(key)]) expect(bytes.includes(form)).toBe(false);
      }
      const replayed = await openEngine({ ...settings, cacheMode: "replay" }, { environment: {} });
      expect(await replayed.searchBatch(["owl"], 1)).toEqual(answer);
      await replayed.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
