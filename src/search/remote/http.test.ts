/** @file The client against servers that are slow, down, overloaded or talk nonsense. */
import { createServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { SearchError } from "../engine.js";
import { HttpEngine } from "./http.js";
import type { HttpSettings } from "./http.js";
import type { HttpTools } from "../../http/request.js";
import { parseRetryAfter } from "../../http/retry.js";

const url = "http://search.test/retrieve";
const document = (id: string) => ({ document: { id, contents: `"T${id}"\ntext ${id}` }, score: 2 });

interface Asked {
  queries: string[];
  topk: number;
  return_scores: boolean;
}

/** A server in a function: answers come from `answer`, requests and waits are recorded. */
function scripted(
  answer: (asked: Asked, request: number) => Response | Promise<Response>,
  settings: Partial<HttpSettings> = {},
) {
  const requests: Asked[] = [];
  const waits: number[] = [];
  const tools: HttpTools = {
    fetch: async (_, init) => {
      const asked = JSON.parse(init?.body as string) as Asked;
      requests.push(asked);
      return answer(asked, requests.length);
    },
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      waits.push(ms);
    },
    random: () => 0.5,
    now: () => Date.UTC(2026, 0, 1),
  };
  return { engine: new HttpEngine({ url, ...settings }, tools), requests, waits };
}

const echo = (asked: Asked): Response => Response.json({ result: asked.queries.map((query) => [document(query)]) });

async function failureOf(engine: HttpEngine, queries = ["a"]): Promise<SearchError> {
  const failure = await engine.searchBatch(queries, 3).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(SearchError);
  expect(failure).toMatchObject({ engine: "http" });
  expect((failure as Error).message).toContain("/retrieve");
  return failure as SearchError;
}

describe("asking", () => {
  it("sends Search-R1's request and reads its answer", async () => {
    const { engine, requests } = scripted(echo);
    expect(await engine.searchBatch(["a"], 3)).toEqual([[{ id: "a", title: "Ta", text: "text a", score: 2 }]]);
    expect(requests).toEqual([{ queries: ["a"], topk: 3, return_scores: true }]);
  });

  it("asks each distinct query once, in chunks, and puts the answers back in order", async () => {
    const { engine, requests } = scripted(echo, { chunkSize: 2 });
    const queries = ["a", "b", "a", "c", "d", "e", "b"];
    const results = await engine.searchBatch(queries, 1);
    expect(results.map(([{ id }]) => id)).toEqual(queries);
    expect(requests.map((request) => request.queries)).toEqual([["a", "b"], ["c", "d"], ["e"]]);
    expect(await engine.searchBatch([], 1)).toEqual([]);
    expect(requests).toHaveLength(3);
  });

  it("keeps to the number of requests at once", async () => {
    let now = 0;
    let most = 0;
    const { engine } = scripted(
      async (asked) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 2));
        now--;
        return echo(asked);
      },
      { chunkSize: 1, concurrency: 3 },
    );
    await engine.searchBatch("abcdefghij".split(""), 1);
    expect(most).toBe(3);
  });

  it("reads what other servers send: no scores, no ids, bare text, title and text apart, lists that are too long", async () => {
    const answers = [
      [{ id: 7, contents: '"A"\nx' }, { contents: "B\ny" }],
      [{ document: { contents: "only text" } }],
      [{ document: { id: "c", contents: '"C"\nz', url: "https://a.example/", section: 3 } }, '"C"\nz'],
      [{ document: { id: "d", title: "D", text: "w" }, score: -1.5 }],
      ["1", "2", "3", "4", "5"].map(document),
    ];
    const { engine } = scripted(() => Response.json({ result: answers }));
    expect(await engine.searchBatch(["1", "2", "3", "4", "5"], 3)).toEqual([
      [
        { id: "7", title: "A", text: "x", score: 1 },
        { id: "", title: "B", text: "y", score: 0.5 },
      ],
      [{ id: "", title: "", text: "only text", score: 1 }],
      [
        { id: "c", title: "C", text: "z", url: "https://a.example/", score: 1 },
        { id: "", title: "C", text: "z", score: 0.5 },
      ],
      [{ id: "d", title: "D", text: "w", score: -1.5 }],
      ["1", "2", "3"].map((id) => ({ id, title: `T${id}`, text: `text ${id}`, score: 2 })),
    ]);
  });

  it("asks without scores where it is told to, and gives passages 1/rank", async () => {
    const { engine, requests } = scripted(
      (asked) => Response.json({ result: asked.queries.map(() => [document("x").document, document("y").document]) }),
      { returnScores: false },
    );
    expect((await engine.searchBatch(["a"], 2))[0].map(({ id, score }) => [id, score])).toEqual([
      ["x", 1],
      ["y", 0.5],
    ]);
    expect(requests[0].return_scores).toBe(false);
  });

  it("sends the token, and shows it nowhere though the server quotes it", async () => {
    const seen: unknown[] = [];
    const engine = new HttpEngine(
      { url, token: "s3cret", retries: 0 },
      {
        fetch: async (_, init) => {
          seen.push(new Headers(init?.headers).get("authorization"));
          return new Response("Bearer s3cret is no token of ours", { status: 401 });
        },
      },
    );
    const failure = await failureOf(engine);
    expect(seen).toEqual(["Bearer s3cret"]);
    expect(failure.message).toContain("[key] is no token of ours");
    expect(inspect(failure, { depth: 9 })).not.toContain("s3cret");
  });

  it.each([401, 200])("shows no part of a long token that the server quotes with %d, either", async (status) => {
    const token = "s3cret".repeat(100);
    const fetch = (): Promise<Response> => Promise.resolve(new Response(`${"-".repeat(150)}${token}`, { status }));
    const failure = await failureOf(new HttpEngine({ url, token, retries: 0 }, { fetch }));
    expect(failure.message).toContain("--[key]");
    expect(inspect(failure, { depth: 9 })).not.toContain("s3cret");
  });

  it("sends no halves of characters: servers in Python fail on them, and with them the whole request", async () => {
    const { engine, requests } = scripted((asked) => Response.json({ result: asked.queries.map(() => []) }));
    await engine.searchBatch(["a \ud800 b", "\u{1f989}"], 1);
    expect(requests[0].queries).toEqual(["a \ufffd b", "\u{1f989}"]);
  });

  it("completes an address without a path, keeps one with a path, refuses the rest", () => {
    expect(new HttpEngine({ url: "http://h:8000" }).url).toBe("http://h:8000/retrieve");
    expect(new HttpEngine({ url: "https://h/api/search?x=1" }).url).toBe("https://h/api/search?x=1");
    for (const wrong of ["localhost:8000", "h", "ftp://h", "http://user:secret@h", "http://h?access_token=secret"])
      expect(() => new HttpEngine({ url: wrong })).toThrow(UserError);
  });
});

describe("nonsense", () => {
  it.each<[string, string, RegExp]>([
    ["no JSON", "<html>Bad gateway</html>", /not JSON: "<html>Bad gateway/],
    ["Python's NaN", '{"result":[[{"document":{"contents":"a"},"score":NaN}]]}', /not JSON/],
    ["no result", '{"answer":1}', /"result" must be a list/],
    ["null", "null", /"result" must be a list/],
    ["too few lists", '{"result":[]}', /1 queries, 0 lists/],
    ["too many lists", '{"result":[[],[]]}', /1 queries, 2 lists/],
    ["a list that is none", '{"result":[{}]}', /"result\[0\]" must be a list/],
    [
      "a null score",
      '{"result":[[{"document":{"contents":"a"},"score":null}]]}',
      /"result\[0\]\[0\]\.score" must be a finite number, got null/,
    ],
    ["a score in words", '{"result":[[{"document":{"contents":"a"},"score":"NaN"}]]}', /must be a finite number/],
    ["an infinite score", '{"result":[[{"document":{"contents":"a"},"score":1e999}]]}', /must be a finite number/],
    ["a document without text", '{"result":[[{"document":{"id":"1"},"score":1}]]}', /contents" must be text/],
    ["a null document", '{"result":[[null]]}', /must be a document/],
  ])("%s fails at once, with the reason", async (_, body, message) => {
    const { engine, requests } = scripted(() => new Response(body));
    const failure = await failureOf(engine);
    expect(failure.message).toMatch(message);
    expect(failure).toMatchObject({ isRetryable: false, status: 200, url });
    expect(requests).toHaveLength(1);
  });

  it("an answer without end is cut off", async () => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)) });
    const { engine, requests } = scripted(() => new Response(body), { maxAnswerBytes: 1 << 20 });
    expect((await failureOf(engine)).message).toContain("larger than 1048576 bytes");
    expect(requests).toHaveLength(1);
  });
});

describe("trying again", () => {
  it.each([408, 425, 429, 500, 502, 503, 504])(
    "%i is tried again with growing waits, then given up",
    async (status) => {
      const { engine, requests, waits } = scripted(() => new Response("busy", { status }), {
        retries: 3,
        firstDelayMs: 100,
      });
      const failure = await failureOf(engine);
      expect(failure.message).toMatch(new RegExp(`the server answered ${status}: "busy".*tried 4 times`));
      expect(failure).toMatchObject({ isRetryable: true, status });
      expect(requests).toHaveLength(4);
      expect(waits).toEqual([75, 150, 300]);
    },
  );

  it("recovers, and other chunks are not asked again", async () => {
    const { engine, requests } = scripted(
      (asked, request) => (request === 1 ? new Response("", { status: 503 }) : echo(asked)),
      { chunkSize: 1, concurrency: 1 },
    );
    expect((await engine.searchBatch(["a", "b"], 1)).map(([{ id }]) => id)).toEqual(["a", "b"]);
    expect(requests.map(({ queries }) => queries[0])).toEqual(["a", "a", "b"]);
  });

  it.each([400, 401, 404, 413])("%i is not tried again", async (status) => {
    const { engine, requests } = scripted(() => new Response("no", { status }));
    expect(await failureOf(engine)).toMatchObject({ isRetryable: false, status });
    expect(requests).toHaveLength(1);
  });

  it("waits as long as the server asks, and gives up when it asks for too long", async () => {
    const busy = (after: string) => () => new Response("", { status: 429, headers: { "retry-after": after } });
    const patient = scripted(busy("2"), { retries: 1 });
    await failureOf(patient.engine);
    expect(patient.waits).toEqual([2000]);
    const dated = scripted(busy("Thu, 01 Jan 2026 00:00:05 GMT"), { retries: 1 });
    await failureOf(dated.engine);
    expect(dated.waits).toEqual([5000]);
    const impatient = scripted(busy("3600"), { retries: 5 });
    await failureOf(impatient.engine);
    expect(impatient.requests).toHaveLength(1);
  });

  it("reads retry-after", () => {
    expect(parseRetryAfter(null, 0)).toBeUndefined();
    expect(parseRetryAfter("soon", 0)).toBeUndefined();
    expect(parseRetryAfter("-3", 0)).toBe(0);
    expect(parseRetryAfter("Thu, 01 Jan 1970 00:00:01 GMT", 5_000)).toBe(0);
  });

  it("never tries again once the caller has given up, not even while waiting", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const { engine, requests } = scripted(() => {
      stop.abort(reason);
      return new Response("", { status: 503 });
    });
    await expect(engine.searchBatch(["a"], 1, { signal: stop.signal })).rejects.toBe(reason);
    expect(requests).toHaveLength(1);
  });

  it("one chunk that fails ends the others", async () => {
    const { engine, requests } = scripted(
      (asked) => (asked.queries[0] === "a" ? new Response("", { status: 403 }) : echo(asked)),
      {
        chunkSize: 1,
        concurrency: 2,
      },
    );
    await failureOf(engine, "abcdefgh".split(""));
    expect(requests.length).toBeLessThan(5);
  });
});

describe("over a real connection", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });

  async function listening(answer: RequestListener): Promise<string> {
    server = createServer(answer);
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const quick = { retries: 1, firstDelayMs: 1 };

  it("a server that hangs is left after the timeout and asked again", async () => {
    const address = await listening(() => undefined);
    const failure = await failureOf(new HttpEngine({ url: address, timeoutMs: 60, ...quick }));
    expect(failure.message).toMatch(/no answer within 60 ms.*tried 2 times/);
    expect(failure.isRetryable).toBe(true);
  });

  it("a server that stops in the middle of its answer is left after the timeout too", async () => {
    const address = await listening((_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.write('{"result":[[');
    });
    expect((await failureOf(new HttpEngine({ url: address, timeoutMs: 60, ...quick }))).message).toContain(
      "no answer within 60 ms",
    );
  });

  it("a server that drops the connection is asked again", async () => {
    let requests = 0;
    const address = await listening((request, response) => {
      if (++requests === 1) return void request.socket.destroy();
      response.end(JSON.stringify({ result: [[document("a")]] }));
    });
    const [[{ id }]] = await new HttpEngine({ url: address, ...quick }).searchBatch(["a"], 1);
    expect(id).toBe("a");
    expect(requests).toBe(2);
  });

  it("a server that is down says so", async () => {
    const address = await listening(() => undefined);
    await new Promise((resolve) => server?.close(resolve));
    const failure = await failureOf(new HttpEngine({ url: address, ...quick }));
    expect(failure.message).toMatch(/ECONNREFUSED.*tried 2 times/);
    expect(failure.isRetryable).toBe(true);
  });

  it("a caller who gives up, and a close, end a request under way at once", async () => {
    const address = await listening(() => undefined);
    const engine = new HttpEngine({ url: address });
    const stop = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 20);
    await expect(engine.searchBatch(["a"], 1, { signal: stop.signal })).rejects.toBe(reason);
    setTimeout(() => void engine.close(), 20);
    await expect(engine.searchBatch(["a"], 1)).rejects.toThrow(/the engine is closed/);
    await expect(engine.searchBatch(["a"], 1)).rejects.toThrow(SearchError);
  });
});
