import { request as httpRequest } from "node:http";
import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import type { Passage } from "../types.js";
import { Bm25Engine } from "./bm25/engine.js";
import { SearchError } from "./engine.js";
import type { SearchEngine } from "./engine.js";
import { createSearchApp, serve } from "./server.js";

const bm25 = Bm25Engine.fromPassages([
  { id: "1", title: "Peru", text: "Lima is the capital." },
  { id: "2", title: "Owls", text: "Owls hunt\nat night." },
]);

const post = (app: ReturnType<typeof createSearchApp>, body: unknown) =>
  app.request("/retrieve", { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });

/** An engine that does what it is told. */
function engineOf(searchBatch: SearchEngine["searchBatch"]): SearchEngine {
  return { name: "scripted", searchBatch, close: async () => undefined };
}

describe("POST /retrieve", () => {
  const app = createSearchApp(bm25);

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
    const counting = createSearchApp(
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

  it("refuses a body that is too large with 413", async () => {
    const small = createSearchApp(bm25, { maxBodyBytes: 50 });
    const response = await post(small, { queries: ["x".repeat(60)] });
    expect(response.status).toBe(413);
    expect(JSON.stringify(await response.json())).toContain("larger than 50 bytes");
  });

  it("tells failures that may pass (503) from those that will not (500)", async () => {
    for (const [isRetryable, status] of [
      [true, 503],
      [false, 500],
    ] as const) {
      const failing = createSearchApp(
        engineOf(async () => {
          throw new SearchError("the disk is gone", { engine: "scripted", isRetryable });
        }),
      );
      const response = await post(failing, { queries: ["x"] });
      expect(response.status).toBe(status);
      expect(response.headers.get("retry-after")).toBe(isRetryable ? "1" : null);
      expect(await response.json()).toEqual({ error: { message: "the disk is gone" } });
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
});

describe("GET /health", () => {
  it("counts", async () => {
    const app = createSearchApp(bm25);
    await post(app, { queries: ["a", "b"] });
    await post(app, "{");
    expect(await (await app.request("/health")).json()).toEqual({
      status: "ok",
      engine: "bm25",
      requests: 1,
      queries: 2,
      failures: 0,
      uptimeSeconds: expect.any(Number) as number,
    });
  });
});

describe("serve", () => {
  const ask = (url: string) => fetch(url, { method: "POST", body: JSON.stringify({ queries: ["owl"], topk: 1 }) });

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
    const client = httpRequest(server.url, { method: "POST" });
    client.on("error", () => undefined);
    client.end(JSON.stringify({ queries: ["owl"] }));
    expect(await isCancelled).toBe("cancelled");
    await server.close();
  });
});
