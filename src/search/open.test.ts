/** @file Engines opened from settings: what is put around them, in which order, and what of it a run can count on. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildIndex } from "./bm25/build.js";
import { Bm25Engine } from "./bm25/engine.js";
import { conformancePassages } from "./conformance.js";
import type { SearchEngine } from "./engine.js";
import { toAnswer } from "./serving/wire.js";
import { openEngine } from "./open.js";
import type { EngineContext, EngineSettings } from "./settings.js";
import type { StoredPassage } from "../types.js";

let folder: string;
let opened: SearchEngine[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-open-"));
  opened = [];
});
afterEach(async () => {
  for (const engine of opened) await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(settings: Partial<EngineSettings>, context: EngineContext = {}): Promise<SearchEngine> {
  const engine = await openEngine(settings, context);
  opened.push(engine);
  return engine;
}

const world = { passages: () => Promise.resolve(conformancePassages) };
const noServer: EngineContext = { http: { fetch: () => Promise.reject(new Error("nobody may ask")), sleep: noWait } };

function noWait(): Promise<void> {
  return Promise.resolve();
}

/** A `/retrieve` server over passages, and a `/rerank` service that prefers short passages, behind one fetch. */
function servers(passages: readonly StoredPassage[] = conformancePassages): EngineContext & { paths: string[] } {
  const engine = Bm25Engine.fromPassages(passages);
  const paths: string[] = [];
  const fetch = async (input: unknown, init?: RequestInit): Promise<Response> => {
    const { pathname } = new URL(String(input));
    paths.push(pathname);
    const body = JSON.parse(String(init?.body)) as Record<string, unknown>;
    if (pathname === "/retrieve") {
      const lists = await engine.searchBatch(body.queries as string[], Number(body.topk));
      return Response.json(toAnswer(lists, true));
    }
    const documents = body.documents as string[];
    return Response.json({ results: documents.map((text, index) => ({ index, relevance_score: -text.length })) });
  };
  return { paths, http: { fetch: fetch as typeof globalThis.fetch, sleep: noWait } };
}

const http: Partial<EngineSettings> = { engine: "http", url: "http://search.test" };
const idsOf = async (engine: SearchEngine, query: string, k = 3): Promise<string[]> =>
  (await engine.searchBatch([query], k))[0].map(({ id }) => id);

describe("openEngine", () => {
  it("opens one engine by its name", async () => {
    const engine = await open({ engine: "bm25" }, world);
    expect(engine.name).toBe("bm25");
    expect(await idsOf(engine, "zwilling", 2)).toEqual(["twin-1", "twin-2"]);
    expect(engine.counts?.()).toEqual({ sharedQueries: 0 });
  });

  it("fuses several with weights, and reranks what they found", async () => {
    const context = { ...servers(), ...world };
    const fused = await open({ ...http, engine: "bm25+http", weights: "1,0" }, context);
    expect(fused.name).toBe("bm25+http");
    const plain = await idsOf(await open({ engine: "bm25" }, world), "capital lima peso");
    expect(await idsOf(fused, "capital lima peso")).toEqual(plain);
    const reranked = await open({ ...http, rerank: "http://rerank.test", rerankFrom: 5 }, context);
    expect(reranked.name).toBe("reranked http");
    // All hold the word, and the shortest comes first; ties keep the engine's order.
    expect(await idsOf(reranked, "zwilling song")).toEqual(["twin-1", "twin-2", "twin-3"]);
    expect(context.paths.at(-1)).toBe("/rerank");
    expect(reranked.counts?.()).toMatchObject({ rerankedPairs: 4, requests: 2, budgetedRequests: 2 });
  });

  it("asks for what is under way once", async () => {
    const context = servers();
    const engine = await open(http, context);
    const [first, second] = await Promise.all([idsOf(engine, "owls"), idsOf(engine, "owls")]);
    expect(first).toEqual(second);
    expect(context.paths).toHaveLength(1);
  });

  it("gives a reranker that hangs no more time than the search has, retries included", async () => {
    const context = servers();
    const { fetch } = context.http as { fetch: typeof globalThis.fetch };
    const hanging: typeof fetch = (input, init) =>
      String(input).includes("rerank")
        ? new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))))
        : fetch(input, init);
    const settings = { ...http, rerank: "http://rerank.test", timeoutMs: 60 };
    const engine = await open(settings, { http: { fetch: hanging, sleep: noWait } });
    await expect(engine.searchBatch(["owls"], 1)).rejects.toThrow(/rerank.*no answer within 60 ms, retries/);
  });

  it("counts every try, refuses what is beyond the budget, and does not ask then", async () => {
    const context = servers();
    const { fetch } = context.http as { fetch: typeof globalThis.fetch };
    let failures = 1;
    const flaky: typeof fetch = async (...given) => {
      if (failures-- > 0) return new Response("", { status: 503 });
      return fetch(...given);
    };
    const engine = await open(
      { ...http, maxRequests: 3, pricePerThousand: 500 },
      { http: { fetch: flaky, sleep: noWait } },
    );
    await engine.searchBatch(["owls"], 1);
    await engine.searchBatch(["lima"], 1);
    const search = engine.searchBatch(["song"], 1);
    await expect(search).rejects.toThrow(/budget of 3 requests is used up/);
    await expect(search).rejects.toMatchObject({ name: "SearchError", isRetryable: false });
    expect(context.paths).toHaveLength(2);
    expect(engine.counts?.()).toMatchObject({ budgetedRequests: 3, spentUsd: 1.5, refusedRequests: 1 });
  });

  it("goes on counting in the run's file, by list price where none is given", async () => {
    const requestsFile = join(folder, "search-requests.jsonl");
    const fetch = (() => Promise.resolve(Response.json({ organic: [] }))) as unknown as typeof globalThis.fetch;
    const environment = { SERPER_API_KEY: "tell-nobody" };
    const context: EngineContext = { requestsFile, environment, http: { fetch, sleep: noWait } };
    const first = await open({ engine: "serper", maxRequests: 2 }, context);
    await first.searchBatch(["owls"], 1);
    const second = await open({ engine: "serper", maxRequests: 2 }, context);
    await second.searchBatch(["lima"], 1);
    await expect(second.searchBatch(["song"], 1)).rejects.toThrow(/budget of 2 requests/);
    expect(second.counts?.()).toMatchObject({ budgetedRequests: 2, spentUsd: 0.002 });
    expect(readFileSync(requestsFile, "utf8")).not.toContain("tell-nobody");
    // Nothing is written down where nothing is bounded and nothing costs.
    const free = join(folder, "free.jsonl");
    await (await open(http, { ...servers(), requestsFile: free })).searchBatch(["owls"], 1);
    expect(existsSync(free)).toBe(false);
  });

  it("keeps the rate for all servers together", async () => {
    let now = 0;
    const sent: number[] = [];
    const context = servers();
    const sleep = (ms: number): Promise<void> => Promise.resolve(void (now += ms));
    const timed = { ...context.http, sleep, now: () => now, beforeRequest: async () => void sent.push(now) };
    const engine = await open({ ...http, rerank: "http://rerank.test", requestsPerSecond: 4 }, { http: timed });
    await engine.searchBatch(["owls"], 1);
    await engine.searchBatch(["lima"], 1);
    expect(sent).toEqual([0, 250, 500, 750]);
  });

  it("goes on with the others when a fused engine fails, counts it, and keeps no such answer", async () => {
    const cache = join(folder, "cache");
    const settings = { ...http, engine: "bm25+http", cache, timeoutMs: 500 };
    const broken = await open(settings, { ...world, ...noServer });
    expect(await idsOf(broken, "zwilling", 2)).toEqual(["twin-1", "twin-2"]);
    expect(broken.counts?.()).toMatchObject({ memberFailures: 1, cacheMisses: 1 });
    expect(readdirSync(cache)).toEqual([]);
    const whole = await open(settings, { ...world, ...servers() });
    await idsOf(whole, "zwilling", 2);
    expect(readdirSync(cache)).toHaveLength(1);
  });

  it("repeats a run from its cache without network, keys or index", async () => {
    const cache = join(folder, "cache");
    const settings = { ...http, rerank: "http://rerank.test", cache };
    const queries = ["owls", "capital of peru", "nothing here"];
    const recorded = await open(settings, { ...servers(), environment: { RERANK_API_KEY: "tell-nobody" } });
    const expected = await recorded.searchBatch(queries, 3);
    await recorded.close();
    const replayed = await open({ ...settings, cacheMode: "replay" }, noServer);
    expect(await replayed.searchBatch(queries, 3)).toEqual(expected);
    expect(replayed.counts?.()).toMatchObject({ cacheHits: 3, cacheMisses: 0 });
    await expect(replayed.searchBatch(["song"], 3)).rejects.toThrow(/no answer to "song"/);
    for (const name of readdirSync(cache)) expect(readFileSync(join(cache, name), "utf8")).not.toContain("tell-nobody");
    // Settings that change answers have answers of their own; those that do not, do not.
    const changed = await open({ ...settings, cacheMode: "replay", rerankFrom: 5 }, noServer);
    await expect(changed.searchBatch(["owls"], 3)).rejects.toThrow(/no answer/);
    const same = await open({ ...settings, cacheMode: "replay", timeoutMs: 77, maxRequests: 1 }, noServer);
    expect(await same.searchBatch(queries, 3)).toEqual(expected);
  });

  it("lets no caller's failure be another's: neither in replay, nor with a server that is gone, nor of web searches", async () => {
    const cache = join(folder, "cache");
    const settings = { ...http, cache };
    const context = servers();
    const recorded = await open(settings, context);
    await Promise.all([idsOf(recorded, "owls"), idsOf(recorded, "lima")]);
    // What is not kept is still asked for together.
    expect(context.paths).toEqual(["/retrieve"]);
    for (const cacheMode of ["replay", "use"] as const) {
      const engine = await open({ ...settings, cacheMode }, noServer);
      const both = await Promise.allSettled([idsOf(engine, "never asked"), idsOf(engine, "owls")]);
      expect(both.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    }

    const waiting: (() => void)[] = [];
    const serper = (async (_: unknown, init?: RequestInit): Promise<Response> => {
      const { q } = JSON.parse(String(init?.body)) as { q: string };
      if (q === "refused") return new Response("", { status: 400 });
      if (q === "slow") await new Promise<void>((resolve) => waiting.push(resolve));
      return Response.json({ organic: [{ title: q, link: `https://example.com/${q}`, snippet: q }] });
    }) as typeof globalThis.fetch;
    const environment = { SERPER_API_KEY: "tell-nobody" };
    const web = await open({ engine: "serper" }, { environment, http: { fetch: serper, sleep: noWait } });
    const slow = idsOf(web, "slow", 1);
    const others = await Promise.allSettled([idsOf(web, "refused", 1), idsOf(web, "owls", 1)]);
    expect(others.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    waiting.forEach((answer) => answer());
    expect(await slow).toEqual(["https://example.com/slow"]);
  });

  describe("queries in any form of their letters", () => {
    const spellings = ["Müller Łódź", "Mu\u0308ller Ło\u0301dz\u0301", "Mü\u00adller\u2060 \u200eŁódź"];

    it("find what was read", async () => {
      const [corpus, index] = [join(folder, "corpus.jsonl"), join(folder, "index")];
      writeFileSync(corpus, JSON.stringify({ id: "0", text: "Herr Mu\u0308ller aus Ło\u0301dz\u0301" }));
      await buildIndex({ corpus: [corpus], out: index });
      const engine = await open({ engine: "bm25", index });
      const lists = await engine.searchBatch([...spellings, "\u00ad"], 1);
      expect(lists.map((list) => list.map(({ text }) => text))).toEqual([
        ...spellings.map(() => ["Herr Müller aus Łódź"]),
        [],
      ]);
      expect(new Set(lists.slice(0, 3).map(([{ score }]) => score)).size).toBe(1);
    });

    it("find what an index holds whose texts were never composed", async () => {
      const out = join(folder, "index");
      const passages = [
        { id: "decomposed", title: "", text: "Herr Mu\u0308ller aus Ło\u0301dz\u0301" },
        { id: "composed", title: "", text: "Frau Müller aus Łódź" },
        { id: "other", title: "", text: "Herr Muller" },
      ];
      const inCode = (async function* () {
        yield passages;
      })();
      await buildIndex({ out, passages: inCode });
      for (const engine of [
        await open({ engine: "bm25", index: out }),
        await open({ engine: "bm25" }, { passages: () => Promise.resolve(passages) }),
      ])
        for (const query of spellings.slice(0, 2))
          expect(await idsOf(engine, query)).toEqual(["decomposed", "composed"]);
    });

    it("reach servers and rerankers in one, and are recorded in their own", async () => {
      const asked: string[] = [];
      const context = servers();
      const { fetch } = context.http as { fetch: typeof globalThis.fetch };
      const listening: typeof fetch = (input, init) => {
        const { queries, query } = JSON.parse(String(init?.body)) as { queries?: string[]; query?: string };
        asked.push(...(queries ?? [query ?? ""]));
        return fetch(input, init);
      };
      const settings = { ...http, rerank: "http://rerank.test", cache: join(folder, "cache") };
      const engine = await open(settings, { http: { fetch: listening, sleep: noWait } });
      const queries = ["owls Ło\u0301dz\u0301", "owls Łódź"];
      const expected = await engine.searchBatch(queries, 2);
      expect(new Set(asked)).toEqual(new Set(["owls Łódź"]));
      const replayed = await open({ ...settings, cacheMode: "replay" }, noServer);
      expect(await replayed.searchBatch(queries, 2)).toEqual(expected);
    });
  });

  it("says so when an index is gone by which a cache is known", async () => {
    const index = join(folder, "no-such-index");
    const cache = join(folder, "cache");
    mkdirSync(cache);
    const opening = openEngine({ engine: "bm25", index, cache, cacheMode: "replay" });
    await expect(opening).rejects.toThrow(/no-such-index is not there.*its answers are known by it/);
  });

  it("knows a corpus and an index by their contents", async () => {
    const cache = join(folder, "cache");
    const [corpus, index] = [join(folder, "corpus.jsonl"), join(folder, "index")];
    const build = async (text: string): Promise<void> => {
      writeFileSync(corpus, JSON.stringify({ id: "0", title: "", text }));
      await buildIndex({ corpus: [corpus], out: index });
    };
    await build("owls hunt");
    const settings = { engine: "bm25", index, cache };
    const textOf = async (engine: SearchEngine): Promise<string> => (await engine.searchBatch(["owls"], 1))[0][0].text;
    expect(await textOf(await open(settings))).toBe("owls hunt");
    await build("owls sleep");
    expect(await textOf(await open(settings))).toBe("owls sleep");
    const passages = (text: string): EngineContext => ({ passages: async () => [{ id: "0", title: "", text }] });
    expect(await textOf(await open({ engine: "bm25", cache }, passages("owls eat")))).toBe("owls eat");
    expect(await textOf(await open({ engine: "bm25", cache }, passages("owls fly")))).toBe("owls fly");
    const replayed = await open({ engine: "bm25", cache, cacheMode: "replay" }, passages("owls eat"));
    expect(await textOf(replayed)).toBe("owls eat");
  });

  it("closes what it has opened when a later part cannot be had", async () => {
    await expect(openEngine({ engine: "bm25", rerank: join(folder, "none") }, world)).rejects.toThrow(/none/);
    const environment = { RERANK_API_KEY: "two words" };
    const unkeyed = openEngine({ ...http, rerank: "http://rerank.test" }, { ...servers(), environment });
    await expect(unkeyed).rejects.toThrow(/RERANK_API_KEY holds spaces, line breaks/);
    writeFileSync(join(folder, "file"), "");
    await expect(openEngine({ engine: "bm25", cache: join(folder, "file") }, world)).rejects.toThrow(/cannot be used/);
  });

  it.each([
    [{ engine: "bm52" }, /There is no search engine "bm52". Did you mean bm25/],
    [{ engine: "bm25+nothing-like-it" }, /There is no search engine "nothing-like-it". Engines: bm25, dense/],
    [{ engine: "bm25", weights: "1" }, /nothing to weigh/],
    [{ engine: "dense", k1: 1.2 }, /search.k1 is 1.2, but search.engine is dense/],
    [{ ...http, b: 0.75 }, /search.b is 0.75, but search.engine is http/],
    [{ engine: "bm25", rerank: "folder", topK: 30 }, /search.rerankFrom \(20\) is below search.topK \(30\)/],
    [{ ...http, url: "http://search.test/?api_key=5ecret" }, /^search.url holds a key \("api_key"\)(?!.*5ecret)/],
    [{ ...http, url: "http://search.test/?who=sk-5ecret" }, /^search.url holds a key \("who"\)(?!.*5ecret)/],
    [{ engine: "lancedb", index: "s3://me:5ecret@bucket" }, /^The address of the index holds a password(?!.*5ecret)/],
    [{ ...http, rerank: "http://me:5ecret@rerank.test" }, /^search.rerank holds a password(?!.*5ecret)/],
    [
      { engine: "dense", encoder: "http://x.test/v1?key=5ecret" },
      /search.encoder holds a key(?!.*5ecret).*EMBEDDINGS_/,
    ],
  ])("refuses %j", async (settings, message) => {
    await expect(openEngine(settings, world)).rejects.toThrow(message);
  });
});
