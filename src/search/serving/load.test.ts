/** @file A server whose clients misbehave: what it holds for them is bounded, and others are answered meanwhile. */
import { afterEach, describe, expect, it } from "vitest";
import { Bm25Engine } from "../bm25/engine.js";
import type { SearchEngine } from "../engine.js";
import { inProcess } from "./in-process.test-support.js";
import { RawClient, headOf } from "../../http/server/raw-client.test-support.js";
import { serve } from "./server.js";
import type { RunningServer, ServeOptions } from "./server.js";

const bm25 = Bm25Engine.fromPassages([{ id: "1", title: "Owls", text: "Owls hunt at night." }]);
const small = { queries: ["owls"], topk: 1 };

/** Answers of a megabyte a query. */
const large: SearchEngine = {
  name: "large",
  searchBatch: async (queries) => {
    const passages = Array.from({ length: 10 }, (_, id) => ({
      id: `${id}`,
      title: "",
      text: "x".repeat(1e5),
      score: 1,
    }));
    return queries.map((query) => (query === "owls" ? [] : passages));
  },
  close: async () => undefined,
};

let server: RunningServer;
let clients: RawClient[] = [];
afterEach(async () => {
  for (const client of clients) client.end();
  clients = [];
  await server.close(0);
});

async function start(options: Partial<ServeOptions> = {}): Promise<void> {
  server = await serve({ engine: bm25, port: 0, ...options });
}

function client(options?: { reads?: boolean }): RawClient {
  const opened = new RawClient(server.port, options);
  clients.push(opened);
  return opened;
}

const status = async (body: unknown, headers?: Record<string, string>): Promise<number> =>
  client().search(body, { headers }).status();

describe("bodies", () => {
  it("that come half keep nobody out: they count as under way when they are whole", async () => {
    await start({ maxInFlight: 2 });
    const half = Array.from({ length: 50 }, () => client().search(small, { sent: 5 }));
    expect(await status(small)).toBe(200);
    half[7].send(JSON.stringify(small).slice(5));
    expect(await half[7].status()).toBe(200);
  });

  it("that do not come in time are refused with 408, headers too, and the connection ends", async () => {
    await start({ receiveTimeoutMs: 100 });
    const slow = [
      client().search(small, { sent: 5 }),
      client().send(headOf({ "transfer-encoding": "chunked" }) + '5\r\n{"que\r\n'),
      client().send("POST /retrieve HTTP/1.1\r\nhost: localhost\r\n"),
    ];
    for (const one of slow) {
      await one.closed;
      expect(await one.status()).toBe(408);
    }
    expect(slow[0].received).toContain("has not come in time");
  });

  it("all together have so much room: the last one is turned away, and a request that is whole is not", async () => {
    await start({ maxRequestBytes: 110_000 });
    const body = { queries: ["x".repeat(15_000)] };
    const half = Array.from({ length: 6 }, () => client().search(body, { sent: 15_000 }));
    await until(async () => (await status(body)) === 503);
    for (const one of half) one.send(JSON.stringify(body).slice(15_000));
    expect(await Promise.all(half.map((one) => one.status()))).toEqual([200, 200, 200, 200, 200, 200]);
    expect(await status(body)).toBe(200);
  });

  it.each<[string, Record<string, string>, number]>([
    ["no content type", { "content-type": "" }, 415],
    ["a page's content type", { "content-type": "text/plain" }, 415],
    ["gzip", { "content-encoding": "gzip" }, 415],
    ["a foreign name", { host: "rebound.example:8000" }, 403],
    ["an origin", { origin: "http://localhost:3000" }, 403],
    ["Expect: 100-continue", { expect: "100-continue" }, 100],
    ["Python's requests", { accept: "*/*", "accept-encoding": "gzip, deflate", connection: "keep-alive" }, 200],
  ])("with %s", async (_, headers, expected) => {
    await start();
    expect(await status(small, headers)).toBe(expected);
  });

  it("of strange JSON are answered with 200 or 400", async () => {
    const app = inProcess(bm25);
    const ask = async (body: string) => (await app.request("/retrieve", { method: "POST", body })).status;
    const queries = '"queries":["owls"]';
    expect(await ask(`{${queries},"topk":NaN}`)).toBe(400);
    expect(await ask(`{${queries},"topk":1e999}`)).toBe(400);
    expect(await ask(`{"__proto__":{${queries}}}`)).toBe(400);
    expect(await ask(`{${queries},"__proto__":{"topk":-1}}`)).toBe(200);
    expect(await ask(`{${queries},"more":${"[".repeat(5_000)}${"]".repeat(5_000)}}`)).toBe(200);
    expect(await ask('{"queries":["\\ud800 owls \\udc00"]}')).toBe(200);
  });
});

describe("answers", () => {
  it("that nobody reads end their connections when others need the room, and after a time in any case", async () => {
    await start({ engine: large, maxUnsentBytes: 30e6, stallTimeoutMs: 800 });
    const body = { queries: Array.from({ length: 20 }, (_, query) => `${query}`), topk: 10 };
    const metrics = async (): Promise<string> => (await fetch(new URL("/metrics", server.url))).text();
    client({ reads: false }).search(body);
    await until(async () => /unsent_bytes [1-9]/.test(await metrics()));
    // The first has not stood still for long.
    expect(await status(body)).toBe(503);
    expect(await status(small)).toBe(200);
    const began = performance.now();
    await until(async () => (await status(body)) === 200);
    expect(performance.now() - began).toBeLessThan(800);
    expect(await metrics()).toContain("cuts_total 1\n");
    await until(async () => /unsent_bytes 0\n/.test(await metrics()));
    client({ reads: false }).search(body);
    await until(async () => /cuts_total 2\n/.test(await metrics()));
    expect(await metrics()).toContain("unsent_bytes 0\n");
  });

  it("take the room of their bytes, which may be more than their characters", async () => {
    for (const length of [1_000, 100_000, 500_000]) {
      const passages = [{ id: "1", title: "", text: "北".repeat(length), score: 1 }];
      const chinese = { ...large, searchBatch: async (queries: string[]) => queries.map(() => passages) };
      const reserved: number[] = [];
      const app = inProcess(chinese, {}, (bytes) => reserved.push(bytes) > 0);
      await app.request("/retrieve", { method: "POST", body: JSON.stringify(small) });
      expect(reserved).toHaveLength(1);
      expect(reserved[0]).toBeGreaterThanOrEqual(3 * length);
    }
  });

  it("for more passages than the bound are refused with 400, which names it", async () => {
    const app = inProcess(bm25, { maxPassages: 100, maxPassagesInFlight: 100, maxInFlight: 10 });
    const ask = (count: number, topk: number) =>
      app.request("/retrieve", { method: "POST", body: JSON.stringify({ queries: Array(count).fill("owls"), topk }) });
    expect((await ask(10, 10)).status).toBe(200);
    const refused = await ask(11, 10);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("100 passages, got 11 × 10");
    // Both at once ask for more than all may.
    expect((await Promise.all([ask(9, 10), ask(2, 10), ask(1, 10)])).map((answer) => answer.status)).toEqual([
      200, 503, 200,
    ]);
  });

  it("to pipelined requests come in their order", async () => {
    await start();
    const one = client();
    for (let topk = 1; topk <= 50; topk++)
      one.search({ queries: ["owls"], topk }, { headers: { "x-request-id": `${topk}` } });
    const text = await one.until(/x-request-id: 50\r\n/);
    expect([...text.matchAll(/x-request-id: (\d+)/g)].map(([, id]) => Number(id))).toEqual(
      Array.from({ length: 50 }, (_, id) => id + 1),
    );
  });
});

describe("connections", () => {
  it("beyond the bound end the one that has waited longest, not one that is answered", async () => {
    let answer: () => void = () => undefined;
    const held: SearchEngine = {
      ...large,
      searchBatch: (queries) => new Promise((resolve) => (answer = () => resolve(queries.map(() => [])))),
    };
    await start({ engine: held, maxConnections: 10 });
    const answered = client().search(small);
    await until(async () => /in_flight 1\n/.test(await (await fetch(new URL("/metrics", server.url))).text()));
    const idle = Array.from({ length: 20 }, () => client());
    await idle[9].closed;
    answer();
    expect(await answered.status()).toBe(200);
  });

  it("of pages that are allowed get what their browsers ask for", async () => {
    const app = inProcess(bm25, { allowedOrigins: ["https://page.example"] });
    const headers = { origin: "https://page.example" };
    const preflight = await app.request("/retrieve", { method: "OPTIONS", headers });
    const answer = await app.request("/retrieve", { method: "POST", headers, body: JSON.stringify(small) });
    expect([preflight.status, answer.status]).toEqual([204, 200]);
    expect(preflight.headers.get("access-control-allow-headers")).toContain("content-type");
    for (const { headers: given } of [preflight, answer])
      expect(given.get("access-control-allow-origin")).toBe("https://page.example");
  });
});

describe("a server that ends", () => {
  it("answers what runs, and 503 to what waits for the engine, to half requests and to new ones", async () => {
    let answer: () => void = () => undefined;
    const held: SearchEngine = {
      ...large,
      searchBatch: (queries) => new Promise((resolve) => (answer = () => resolve(queries.map(() => [])))),
    };
    await start({ engine: held, batchesUnderWay: 1 });
    const metrics = async (): Promise<string> => (await fetch(new URL("/metrics", server.url))).text();
    const runs = client().search(small);
    await until(async () => /in_flight 1\n/.test(await metrics()));
    const waits = client().search({ queries: ["another"] });
    const half = client().search(small, { sent: 5 });
    const kept = client();
    await until(async () => /waiting_queries 1\n/.test(await metrics()));
    const closing = server.close();
    kept.search(small);
    expect(await Promise.all([waits, half, kept].map((one) => one.status()))).toEqual([503, 503, 503]);
    expect(runs.received).toBe("");
    answer();
    expect(await runs.status()).toBe(200);
    await closing;
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
