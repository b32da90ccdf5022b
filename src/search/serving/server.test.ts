import { Agent, request as httpRequest } from "node:http";
import { describe, expect, it, vi } from "vitest";
import { UserError } from "../../errors.js";
import type { Passage } from "../../types.js";
import { Bm25Engine } from "../bm25/engine.js";
import { SearchError } from "../engine.js";
import type { SearchEngine } from "../engine.js";
import { serve } from "./server.js";
import { inProcess } from "./in-process.test-support.js";
import type { InProcess } from "./in-process.test-support.js";

const bm25 = Bm25Engine.fromPassages([
  { id: "1", title: "Peru", text: "Lima is the capital." },
  { id: "2", title: "Owls", text: "Owls hunt\nat night." },
]);

const post = (app: InProcess, body: unknown) =>
  app.request("/retrieve", { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });

const asJson = { "content-type": "application/json" };

/** An engine that does what it is told. */
function engineOf(searchBatch: SearchEngine["searchBatch"]): SearchEngine {
  return { name: "scripted", searchBatch, close: async () => undefined };
}

describe("POST /retrieve", () => {
  const app = inProcess(bm25);

  it("answers in Search-R1's format, with scores", async () => {
    const response = await post(app, { queries: ["capital", "owl"], topk: 3, return_scores: true });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      result: [
        [{ document: { id: "1", contents: '"Peru"\nLima is the capital.' }, score: expect.any(Number) as number }],
        [{ document: { id: "2", contents: '"Owls"\nOwls hunt\nat night.' }, score: expect.any(Number) as number }],
      ],
    });
  });

  it.each([0, 1, 2, 3])(
    "without scores it answers bare documents, for %i queries too (the original crashes)",
    async (count) => {
      const response = await post(app, {
        queries: Array.from({ length: count }, () => "capital"),
        return_scores: false,
      });
      const documents = [{ id: "1", contents: '"Peru"\nLima is the capital.' }];
      expect(await response.json()).toEqual({ result: Array.from({ length: count }, () => documents) });
    },
  );

  it("a missing, null or zero topk means the default, scores are off unless asked for", async () => {
    const asked: number[] = [];
    const counting = inProcess(
      engineOf(async (queries, k) => {
        asked.push(k);
        return queries.map(() => []);
      }),
      { defaultK: 5 },
    );
    for (const topk of [undefined, null, 0, 2]) await post(counting, { queries: ["x"], topk });
    expect(asked).toEqual([5, 5, 5, 2]);
  });

  it.each<[string, unknown, string]>([
    ["no JSON", "{", "body"],
    ["a list", [], "body"],
    ["no queries", {}, "queries"],
    ["queries that are no list", { queries: "owl" }, "queries"],
    ["a query that is no string", { queries: ["a", 5] }, "queries[1]"],
    ["too many queries", { queries: Array.from({ length: 9000 }, () => "") }, "queries"],
    ["a query that is too long", { queries: ["x".repeat(20_001)] }, "queries[0]"],
    ["a topk below one", { queries: [], topk: -1 }, "topk"],
    ["a topk that is too large", { queries: [], topk: 101 }, "topk"],
    ["a topk in words", { queries: [], topk: "3" }, "topk"],
    ["return_scores in words", { queries: [], return_scores: "yes" }, "return_scores"],
  ])("refuses %s with 400, the field and an example", async (_, body, field) => {
    const response = await post(app, body);
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as {
      error: { message: string; field: string; example: { queries: string[] } };
    };
    expect(error.field).toBe(field);
    expect(error.message).toContain(`"${field}"`);
    expect((await post(app, error.example)).status).toBe(200);
  });

  it("tells failures that may pass (503) from those that will not (500), and from queries that the engine's server refuses", async () => {
    for (const [isRetryable, status, told] of [
      [true, 503],
      [false, 500],
      [false, 413, 413],
    ] as const) {
      const failing = inProcess(
        engineOf(async () => {
          throw new SearchError("the disk is gone", { engine: "scripted", isRetryable, status: told });
        }),
      );
      const response = await post(failing, { queries: ["x"] });
      expect(response.status).toBe(status);
      expect(response.headers.get("retry-after")).toBe(isRetryable ? "1" : null);
      expect(await response.json()).toEqual({
        error: { message: "the disk is gone", requestId: response.headers.get("x-request-id") },
      });
      expect(await (await failing.request("/health")).json()).toMatchObject({ failures: 1 });
    }
  });

  it("teaches those who ask otherwise", async () => {
    const wrongMethod = await app.request("/retrieve");
    expect([wrongMethod.status, wrongMethod.headers.get("allow")]).toEqual([405, "POST"]);
    const wrongPath = await app.request("/search");
    expect(wrongPath.status).toBe(404);
    expect(JSON.stringify(await wrongPath.json())).toContain("POST /retrieve");
  });

  it("takes the fields of the original's hierarchical server: topk_rerank passages are answered", async () => {
    const asked: number[] = [];
    const counting = inProcess(
      engineOf(async (queries, k) => {
        asked.push(k);
        return queries.map(() => []);
      }),
    );
    const bodies = [{ topk_retrieval: 10, topk_rerank: 4 }, { topk_retrieval: 10 }, { topk: 2, topk_rerank: 5 }];
    for (const body of bodies) await post(counting, { queries: ["x"], ...body });
    expect(asked).toEqual([4, 3, 2]);
    const refused = await post(counting, { queries: ["x"], topk_rerank: "many" });
    expect(await refused.json()).toMatchObject({ error: { field: "topk_rerank" } });
  });

  it("every answer has the request's id, an own one where none that does was sent", async () => {
    const ask = async (id?: string) => {
      const headers: Record<string, string> = id === undefined ? {} : { "x-request-id": id };
      const response = await app.request("/retrieve", { method: "POST", body: "{", headers });
      const { error } = (await response.json()) as { error: { requestId: string } };
      expect(response.headers.get("x-request-id")).toBe(error.requestId);
      return error.requestId;
    };
    expect(await ask("run-7:step.3")).toBe("run-7:step.3");
    expect(await ask("<script>")).toMatch(/^[\da-f-]{36}$/);
    expect(await ask()).not.toBe(await ask());
  });

  it("with a token only those who send it may search and read metrics; health is for all", async () => {
    const closed = inProcess(bm25, { token: "s3cret" });
    const ask = (authorization?: string, path = "/retrieve", method = "POST") =>
      closed.request(path, {
        method,
        body: method === "POST" ? JSON.stringify({ queries: ["owl"] }) : undefined,
        headers: authorization === undefined ? {} : { authorization },
      });
    for (const wrong of [undefined, "", "Bearer", "Bearer s3cret2", "s3cret"]) {
      const response = await ask(wrong);
      expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      expect(await response.text()).not.toContain("s3cret");
    }
    expect((await ask("Bearer s3cret")).status).toBe(200);
    expect((await ask(undefined, "/metrics", "GET")).status).toBe(401);
    expect((await ask("Bearer s3cret", "/metrics", "GET")).status).toBe(200);
    expect((await ask(undefined, "/health", "GET")).status).toBe(200);
  });

  it("answers of many passages are written in pieces that make the same JSON", async () => {
    const text = "x".repeat(20_000);
    const many = inProcess(
      engineOf(async (queries) => queries.map((query) => [{ id: query, title: "", text, score: 1 }])),
    );
    const queries = Array.from({ length: 100 }, (_, query) => `${query}`);
    const { result } = (await (await post(many, { queries })).json()) as { result: { id: string }[][] };
    expect(result.map(([{ id }]) => id)).toEqual(queries);
  });
});

describe("requests that wait together", () => {
  /** An engine that answers when it is let, and records what it was asked. */
  function heldEngine() {
    const asked: { queries: readonly string[]; k: number; signal?: AbortSignal }[] = [];
    const open: (() => void)[] = [];
    const engine = engineOf(async (queries, k, options) => {
      asked.push({ queries, k, signal: options?.signal });
      await new Promise<void>((resolve) => open.push(resolve));
      return queries.map((query) => [{ id: query, title: "", text: "", score: 1 }]);
    });
    return { engine, asked, release: () => open.splice(0).forEach((go) => go()) };
  }
  const haveCome = (asked: readonly unknown[], count: number) => vi.waitFor(() => expect(asked).toHaveLength(count));
  const idsOf = async (response: Promise<Response>) =>
    ((await (await response).json()) as { result: { id: string }[][] }).result.map(([{ id }]) => id);

  it("become one batch of distinct queries, and each gets its own lists", async () => {
    const { engine, asked, release } = heldEngine();
    const app = inProcess(engine, { batchesUnderWay: 1 });
    const early = post(app, { queries: ["a"] });
    await haveCome(asked, 1);
    const late = [post(app, { queries: ["b", "a"] }), post(app, { queries: ["a"] }), post(app, { queries: ["c"] })];
    await vi.waitFor(async () => expect(await (await app.request("/metrics")).text()).toMatch(/waiting_queries 2$/m));
    expect(asked).toHaveLength(1);
    release();
    await haveCome(asked, 2);
    // What is under way already is waited for.
    expect(asked.map(({ queries }) => queries)).toEqual([["a"], ["b", "c"]]);
    release();
    expect(await Promise.all([early, ...late].map(idsOf))).toEqual([["a"], ["b", "a"], ["a"], ["c"]]);
  });

  it("not with others that want another number of passages, and not beyond the largest batch", async () => {
    const { engine, asked, release } = heldEngine();
    const app = inProcess(engine, { batchesUnderWay: 9, batchQueries: 2 });
    const answers = [
      post(app, { queries: ["a"], topk: 1 }),
      post(app, { queries: ["b"], topk: 2 }),
      post(app, { queries: ["c"], topk: 1 }),
      post(app, { queries: ["d"], topk: 1 }),
      post(app, { queries: ["e", "f", "g"], topk: 5 }),
    ];
    await haveCome(asked, 4);
    expect(asked.map(({ queries, k }) => [queries.join(), k])).toEqual([
      ["a,c", 1],
      ["b", 2],
      ["d", 1],
      ["e,f,g", 5],
    ]);
    release();
    for (const answer of answers) expect((await answer).status).toBe(200);
  });

  it("one that goes away does not take the others with it; when all have left the search ends", async () => {
    const { engine, asked, release } = heldEngine();
    const app = inProcess(engine);
    const [first, second] = [new AbortController(), new AbortController()];
    const init = (signal: AbortSignal) => ({ method: "POST", body: JSON.stringify({ queries: ["a"] }), signal });
    const answers = [first, second].map(({ signal }) => app.request("/retrieve", init(signal)));
    await haveCome(asked, 1);
    first.abort();
    expect([(await answers[0]).status, asked[0].signal?.aborted]).toEqual([499, false]);
    second.abort();
    expect([(await answers[1]).status, asked[0].signal?.aborted]).toEqual([499, true]);
    expect(await (await app.request("/health")).json()).toMatchObject({ failures: 0, inFlight: 0 });
    release();
  });

  it("a query that the engine cannot bear fails its own request alone", async () => {
    const app = inProcess(
      engineOf(async (queries) => {
        if (queries.includes("poison")) throw new SearchError("cannot", { engine: "scripted", isRetryable: false });
        return queries.map(() => []);
      }),
    );
    const answers = ["a", "poison", "b"].map((query) => post(app, { queries: [query] }));
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 500, 200]);
  });

  it("an engine that answers with another number of lists is a failure", async () => {
    const app = inProcess(engineOf(async () => []));
    const response = await post(app, { queries: ["a"] });
    expect(response.status).toBe(500);
    expect(await response.text()).toContain("answered 1 queries with 0 results instead of one list");
  });

  it("too many under way are turned away, and too slow ones given up", async () => {
    const { engine, asked } = heldEngine();
    const app = inProcess(engine, { maxInFlight: 2, timeoutMs: 50 });
    const held = [post(app, { queries: ["a"] }), post(app, { queries: ["b"] })];
    const turnedAway = await post(app, { queries: ["c"] });
    expect([turnedAway.status, turnedAway.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await turnedAway.text()).toContain("answers 2 searches at once");
    for (const answer of held) {
      expect((await answer).status).toBe(503);
      expect(await (await answer).text()).toContain("no answer within 50 ms");
    }
    expect(asked.every(({ signal }) => signal?.aborted)).toBe(true);
    expect(await (await app.request("/metrics")).text()).toContain("sleuth_search_overloads_total 1\n");
  });
});

describe("GET /health", () => {
  it("says 503 while the engine opens, when it could not be opened, and while the server ends", async () => {
    let open: (engine: SearchEngine) => void = () => undefined;
    const app = inProcess(new Promise<SearchEngine>((resolve) => (open = resolve)));
    const look = async (server: InProcess) => {
      const [health, search] = [await server.request("/health"), await post(server, { queries: ["owl"] })];
      return [health.status, ((await health.json()) as { status: string }).status, search.status];
    };
    expect(await look(app)).toEqual([503, "opening", 503]);
    open(bm25);
    await Promise.resolve();
    expect(await look(app)).toEqual([200, "ok", 200]);
    app.service.drain();
    expect(await look(app)).toEqual([503, "draining", 503]);

    const failed = inProcess(Promise.reject<SearchEngine>(new UserError("no index")));
    await Promise.resolve();
    expect(await look(failed)).toEqual([503, "failed", 503]);
  });

  it("counts", async () => {
    const app = inProcess(bm25);
    await post(app, { queries: ["a", "b"] });
    await post(app, "{");
    expect(await (await app.request("/health")).json()).toEqual({
      status: "ok",
      engine: "bm25",
      requests: 1,
      queries: 2,
      failures: 0,
      inFlight: 0,
      uptimeSeconds: expect.any(Number) as number,
    });
  });
});

describe("GET /metrics", () => {
  it("is Prometheus' text format: every sample after its type, buckets that grow, the engine's own counts", async () => {
    const app = inProcess({ ...engineOf(async (queries) => queries.map(() => [])), counts: () => ({ cacheHits: 3 }) });
    await post(app, { queries: ["a", "b"] });
    await post(app, "{");
    const response = await app.request("/metrics");
    expect(response.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    const lines = (await response.text()).trimEnd().split("\n");
    const types = new Map<string, string>();
    const samples = new Map<string, number>();
    for (const line of lines) {
      const type = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line);
      if (type !== null) types.set(type[1], type[2]);
      if (line.startsWith("#")) continue;
      const sample = /^(\w+)(\{\w+="[^"]+"\})? (\S+)$/.exec(line);
      expect(sample, line).not.toBeNull();
      const [, name, labels = "", value] = sample as RegExpExecArray;
      expect(types.has(name.replace(/_(bucket|sum|count)$/, "")) || types.has(name), line).toBe(true);
      expect(Number.isFinite(Number(value)), line).toBe(true);
      samples.set(name + labels, Number(value));
    }
    expect(Object.fromEntries(samples)).toMatchObject({
      sleuth_search_ready: 1,
      sleuth_search_in_flight: 0,
      'sleuth_search_requests_total{status="200"}': 1,
      'sleuth_search_requests_total{status="400"}': 1,
      sleuth_search_queries_total: 2,
      sleuth_search_batches_total: 1,
      'sleuth_search_request_seconds_bucket{le="+Inf"}': 2,
      sleuth_search_request_seconds_count: 2,
      sleuth_engine_cache_hits_total: 3,
    });
    const buckets = [...samples].filter(([name]) => name.includes("_bucket")).map(([, value]) => value);
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
  });
});

describe("serve", () => {
  const ask = (url: string) =>
    fetch(url, { method: "POST", headers: asJson, body: JSON.stringify({ queries: ["owl"], topk: 1 }) });

  it("answers on a real port, and refuses one that is taken", async () => {
    const server = await serve({ engine: bm25, port: 0 });
    expect(server.url).toBe(`http://127.0.0.1:${server.port}/retrieve`);
    expect(await (await ask(server.url)).json()).toEqual({
      result: [[{ id: "2", contents: '"Owls"\nOwls hunt\nat night.' }]],
    });
    const second = serve({ engine: bm25, port: server.port });
    await expect(second).rejects.toThrow(UserError);
    await expect(second).rejects.toThrow(/is taken.*--port/);
    await server.close();
    await expect(ask(server.url)).rejects.toThrow();
  });

  it("refuses a body that is too large with 413, whether it says its length or not", async () => {
    const server = await serve({ engine: bm25, port: 0, maxBodyBytes: 50 });
    const body = JSON.stringify({ queries: ["x".repeat(60)] });
    const stream = new Blob([body]).stream();
    for (const init of [{ body }, { body: stream, duplex: "half" }] as RequestInit[]) {
      const response = await fetch(server.url, { method: "POST", headers: asJson, ...init });
      expect(response.status).toBe(413);
      expect(await response.text()).toContain("larger than 50 bytes");
    }
    await server.close();
  });

  it("answers other routes, with what follows a question mark, and HEAD", async () => {
    const server = await serve({ engine: bm25, port: 0 });
    const at = (path: string, method = "GET") => fetch(new URL(path, server.url), { method });
    const answers = await Promise.all([at("/health?x=1"), at("/metrics"), at("/health", "HEAD"), at("/nowhere")]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 404]);
    await server.close();
  });

  it("keeps the connection of a request that it turns away", async () => {
    const server = await serve({ engine: bm25, port: 0, maxInFlight: 0 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const refused = (): Promise<[status?: number, port?: number]> =>
      new Promise((resolve, reject) => {
        const asked = httpRequest(server.url, { method: "POST", agent, headers: asJson }, (response) => {
          const { localPort } = response.socket;
          response.resume().on("end", () => resolve([response.statusCode, localPort]));
        });
        asked.on("error", reject);
        asked.end(JSON.stringify({ queries: ["x".repeat(100_000)] }));
      });
    const answers = [await refused(), await refused(), await refused()];
    expect(answers.map(([status]) => status)).toEqual([503, 503, 503]);
    expect(new Set(answers.map(([, port]) => port)).size).toBe(1);
    agent.destroy();
    await server.close();
  });

  it("closing waits for requests under way, and cuts those that never end", async () => {
    let answer: (lists: Passage[][]) => void = () => undefined;
    let asked: () => void = () => undefined;
    const slow = engineOf(() => {
      asked();
      return new Promise((resolve) => (answer = resolve));
    });
    for (const ends of [true, false]) {
      const server = await serve({ engine: slow, port: 0 });
      const isAsked = new Promise<void>((resolve) => (asked = resolve));
      const response = ask(server.url).then(
        ({ status }) => status,
        () => "cut",
      );
      await isAsked;
      const closing = server.close(ends ? 5_000 : 50);
      if (ends) answer([[]]);
      await closing;
      expect(await response).toBe(ends ? 200 : "cut");
    }
  });

  it("a client that goes away cancels its search", async () => {
    let cancelled: (reason: unknown) => void = () => undefined;
    const isCancelled = new Promise((resolve) => (cancelled = resolve));
    const server = await serve({
      engine: engineOf(
        (_, __, options) =>
          new Promise((_resolve, reject) => {
            options?.signal?.addEventListener("abort", () => {
              cancelled("cancelled");
              reject(options.signal?.reason as Error);
            });
            client.destroy();
          }),
      ),
      port: 0,
    });
    const client = httpRequest(server.url, { method: "POST", headers: asJson });
    client.on("error", () => undefined);
    client.end(JSON.stringify({ queries: ["owl"] }));
    expect(await isCancelled).toBe("cancelled");
    await server.close();
  });
});
