/** @file What servers do wrong, done to every engine that asks one: a typed error or a recovery, a count, and no hang. */
import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { conformancePassages } from "../conformance.js";
import { SearchError } from "../engine.js";
import type { SearchEngine } from "../engine.js";
import type { RemoteSettings } from "./remote-server.js";
import { listening, remoteProtocols, sendJson, wordEncoder } from "./servers.test-support.js";
import type { TestServer } from "./servers.test-support.js";

/** Gets the right answer to a search, as JSON, and does something else. `search` counts from 1. */
type Fault = (right: string, response: ServerResponse, search: number) => void;

const quick: Partial<RemoteSettings> = { retries: 2, firstDelayMs: 1, timeoutMs: 2_000 };
const ok: Fault = (right, response) => sendJson(response, { status: 200, body: right });
const status =
  (code: number, headers: Record<string, string> = {}, body = "busy"): Fault =>
  (_, response) =>
    void response.writeHead(code, headers).end(body);
/** The fault for the first so many searches, the right answer after. */
const first =
  (count: number, fault: Fault): Fault =>
  (right, response, search) =>
    (search <= count ? fault : ok)(right, response, search);

describe.each(Object.values(remoteProtocols))("$name: faults of the server", ({ name, server: protocol, open }) => {
  let server: TestServer | undefined;
  let engine: SearchEngine | undefined;
  afterEach(async () => {
    await engine?.close();
    await server?.close();
  });

  /** How often the server was asked for passages. */
  let searches = 0;

  async function facing(fault: Fault, settings: Partial<RemoteSettings> = {}): Promise<SearchEngine> {
    searches = 0;
    const answer = protocol(conformancePassages);
    server = await listening(async (asked, response) => {
      const right = await answer(asked);
      if (right.isSearch !== true) return sendJson(response, right);
      fault(JSON.stringify(right.body), response, ++searches);
    });
    engine = await open(server.url, { ...quick, ...settings });
    return engine;
  }

  async function failureOf(fault: Fault, settings: Partial<RemoteSettings> = {}): Promise<SearchError> {
    const asked = await facing(fault, settings);
    const failure = await asked.searchBatch(["owl", "peru"], 3).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SearchError);
    expect(failure).toMatchObject({ engine: name });
    expect((failure as Error).message).toContain(server?.url);
    return failure as SearchError;
  }

  async function recovers(fault: Fault, settings: Partial<RemoteSettings> = {}): Promise<SearchEngine> {
    const asked = await facing(fault, settings);
    const [[best]] = await asked.searchBatch(["owls hunt at night"], 3);
    expect(best.id).toBe("owl");
    return asked;
  }

  it("slow: waited for", async () => {
    await recovers((right, response) => setTimeout(() => ok(right, response, 1), 40));
  });

  it("hanging: left after the time for a request, asked again, given up", async () => {
    const failure = await failureOf(() => undefined, { timeoutMs: 250, retries: 1 });
    expect(failure.message).toMatch(/no answer within 250 ms.*tried 2 times/);
    expect([failure.isRetryable, searches]).toEqual([true, 2]);
    expect(engine?.counts?.().failures).toBe(1);
  });

  it("hanging: the deadline of the whole search ends its tries", async () => {
    const failure = await failureOf(() => undefined, { timeoutMs: 60_000, deadlineMs: 400 });
    expect(failure.message).toContain("no answer within 400 ms, retries included");
    expect(failure.isRetryable).toBe(true);
  });

  it("dripping: a byte now and then is no answer", async () => {
    const failure = await failureOf(
      (right, response) => {
        response.writeHead(200, { "content-type": "application/json" });
        let sent = 0;
        const drip = setInterval(() => response.write(right[sent++ % right.length]), 5);
        response.on("close", () => clearInterval(drip));
      },
      { timeoutMs: 300, retries: 0 },
    );
    expect(failure.message).toContain("no answer within 300 ms");
  });

  it.each<[string, Fault]>([
    ["drops the connection before it answers", (_, response) => void response.socket?.destroy()],
    [
      "drops it in the middle of an answer",
      (right, response) => {
        response.writeHead(200, { "content-length": String(Buffer.byteLength(right)) });
        response.write(right.slice(0, right.length >> 1), () => response.socket?.destroy());
      },
    ],
  ])("%s: asked again", async (_, fault) => {
    const asked = await recovers(first(2, fault));
    expect(asked.counts?.()).toMatchObject({ retries: 2, failures: 0 });
    await asked.close();
    await server?.close();
    expect(await failureOf(fault)).toMatchObject({ isRetryable: true });
  });

  it("429: asked again when the server wants it; too long a wait is a failure", async () => {
    await recovers(first(1, status(429, { "retry-after": "0" })));
    await engine?.close();
    await server?.close();
    const failure = await failureOf(status(429, { "retry-after": "3600" }));
    expect(failure).toMatchObject({ isRetryable: true, status: 429 });
    expect(searches).toBe(1);
  });

  it("500: asked again, then given up with what the server said", async () => {
    const failure = await failureOf(status(500, {}, "Internal Server Error"));
    expect(failure).toMatchObject({ isRetryable: true, status: 500 });
    expect(failure.message).toMatch(/answered 500: "Internal Server Error" \(tried 3 times\)/);
  });

  it.each<[string, (right: string) => string, RegExp]>([
    ["no JSON", () => "<html>Bad gateway</html>", /not JSON: "<html>Bad gateway/],
    ["an answer that ends too early", (right) => right.slice(0, -3), /not JSON/],
    ["NaN scores, as Python writes them", (right) => right.replace(scoreOf, "$1NaN"), /holds NaN.*not a finite number/],
    ["infinite scores", (right) => right.replace(scoreOf, "$1-Infinity"), /holds -Infinity/],
    [
      "scores beyond all numbers",
      (right) => right.replace(scoreOf, "$11e999"),
      /score" must be a finite number|score must be/,
    ],
    ["null scores", (right) => right.replace(scoreOf, "$1null"), /must be a finite number, got null/],
    ["null", () => "null", /list/],
    ["too few lists", (right) => withLists(right, (lists) => lists.slice(1)), /2 queries, 1 /],
    ["too many lists", (right) => withLists(right, (lists) => [...lists, ...lists]), /2 queries, 4 /],
    ["a list that is none", (right) => withLists(right, () => [7, 7]), /list/],
  ])("%s: fails at once, with the reason", async (_, spoil, message) => {
    const failure = await failureOf((right, response) => sendJson(response, { status: 200, body: spoil(right) }));
    expect(failure.message).toMatch(message);
    expect(failure).toMatchObject({ isRetryable: false, status: 200 });
    expect(searches).toBe(1);
  });

  it("an answer without end is cut off", async () => {
    const failure = await failureOf(
      (_, response) => {
        response.writeHead(200);
        const pour = setInterval(() => response.write("[".repeat(20_000)), 1);
        response.on("close", () => clearInterval(pour));
      },
      { maxAnswerBytes: 100_000 },
    );
    expect(failure.message).toContain("larger than 100000 bytes");
  });

  it("the same passage twice in a list: once, and counted", async () => {
    const asked = await facing((right, response) => sendJson(response, { status: 200, body: doubled(right) }));
    const [list] = await asked.searchBatch(["owl lima zwilling"], 3);
    expect(list.map(({ id }) => id)).toEqual([...new Set(list.map(({ id }) => id))]);
    expect(list).toHaveLength(3);
    expect(asked.counts?.().duplicates).toBeGreaterThanOrEqual(3);
  });

  it.each([400, 413, 422])("a query that the server refuses (%i) takes no other along", async (code) => {
    const isRefused = await refusedBy(name);
    let requests = 0;
    const answer = protocol(conformancePassages);
    server = await listening(async (asked, response) => {
      const right = await answer(asked);
      if (right.isSearch !== true) return sendJson(response, right);
      requests++;
      if (!isRefused(asked.body)) return sendJson(response, right);
      response.writeHead(code).end("too long");
    });
    engine = await open(server.url, quick);
    const queries = ["owl", "peru", refusedQuery, "zwilling", "", "song", "lima", "chile"];
    const lists = await engine.searchBatch(queries, 2);
    expect(lists.map(({ refused }) => refused !== undefined)).toEqual(queries.map((query) => query === refusedQuery));
    expect(lists[2].refused).toContain(`answered ${code}: "too long"`);
    expect(lists[2].partial).toBe(true);
    expect(requests).toBeLessThanOrEqual(8);
    expect(engine.counts?.()).toMatchObject({ queriesRefused: 1 });
    for (const [index, query] of queries.entries())
      if (query !== refusedQuery) expect(lists[index]).toEqual((await engine.searchBatch([query], 2))[0]);
    // Nothing else to answer: the call fails, so that nobody takes it for "nothing found".
    await expect(engine.searchBatch([refusedQuery, ""], 2)).rejects.toMatchObject({ status: code, isRetryable: false });
  });

  it("a server that refuses everything is asked a few times more, not for each query", async () => {
    const asked = await facing(status(400, {}, "no such field"));
    const queries = Array.from({ length: 500 }, (_, index) => `owl ${index}`);
    await expect(asked.searchBatch(queries, 1)).rejects.toMatchObject({ status: 400, isRetryable: false });
    expect(searches).toBeLessThan(50);
    await asked.close();
    await server?.close();
    const forbidden = await facing(status(403));
    await expect(forbidden.searchBatch(queries.slice(0, 10), 1)).rejects.toMatchObject({ status: 403 });
    expect(searches).toBe(1);
  });

  it("a server that keeps failing is left alone, and asked again after a while", async () => {
    const breaker = { failuresInRow: 3, restMs: 500 };
    const asked = await facing(first(3, status(503)), { retries: 0, breaker });
    for (let search = 0; search < 3; search++) await expect(asked.searchBatch(["owl"], 1)).rejects.toThrow(/503/);
    const refused = asked.searchBatch(["owl"], 1);
    await expect(refused).rejects.toBeInstanceOf(SearchError);
    await expect(refused).rejects.toMatchObject({ isRetryable: true });
    await expect(refused).rejects.toThrow(/left alone.*3 requests in a row.*answered 503/);
    expect(searches).toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 510));
    expect((await asked.searchBatch(["owl"], 1))[0][0].id).toBe("owl");
    expect(asked.counts?.()).toMatchObject({ breakerOpen: 1, failures: 4 });
  });

  it("connections are kept: many searches, as many connections as requests at once", async () => {
    const asked = await facing(ok, { chunkSize: 1, concurrency: 2 });
    for (let search = 0; search < 10; search++) await asked.searchBatch(["owl", "peru", "chile"], 1);
    expect(searches).toBe(30);
    expect(server?.connections()).toBeLessThanOrEqual(3);
  });

  it("a caller who gives up, and a close, end requests under way at once", async () => {
    const asked = await facing(() => undefined);
    const stop = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 20);
    await expect(asked.searchBatch(["owl"], 1, { signal: stop.signal })).rejects.toBe(reason);
    setTimeout(() => void asked.close(), 20);
    await expect(asked.searchBatch(["owl"], 1)).rejects.toThrow(/the engine is closed/);
    await expect(asked.searchBatch(["owl"], 1)).rejects.toThrow(SearchError);
  });
});

const refusedQuery = "refused";

/** Tells a body that asks for that query, in words or as a vector. */
async function refusedBy(protocol: string): Promise<(body: string) => boolean> {
  const vector = JSON.stringify([...(await wordEncoder().encode([refusedQuery], "query"))]);
  return (body) => body.includes(protocol === "qdrant" ? vector : `"${refusedQuery}"`);
}

const scoreOf = /("_?score":)[\d.e-]+/;

/** The answer with other lists: they are its one array at the top. */
function withLists(right: string, change: (lists: unknown[]) => unknown[]): string {
  const answer = JSON.parse(right) as Record<string, unknown>;
  const key = Object.keys(answer).find((name) => Array.isArray(answer[name])) as string;
  return JSON.stringify({ ...answer, [key]: change(answer[key] as unknown[]) });
}

/** Every passage twice. */
function doubled(right: string): string {
  const isScored = (item: unknown): boolean =>
    typeof item === "object" && item !== null && ("score" in item || "_score" in item);
  return JSON.stringify(JSON.parse(right), (_, value: unknown) =>
    Array.isArray(value) && value.some(isScored) ? value.flatMap((item: unknown) => [item, item]) : value,
  );
}
