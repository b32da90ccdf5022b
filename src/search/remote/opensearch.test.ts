/**
 * @file OpenSearch: what is asked and found out. The conformance suite and the comparison with Lucene's own scores run against a real server
 * where SLEUTH_OPENSEARCH_URL names one (without a password), for example one started by `testdata/opensearch/start.sh`. They passed against
 * OpenSearch 2.19.3 and Elasticsearch 7.10.2.
 */
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { HttpTools } from "../../http/request.js";
import { bruteForceBm25 } from "../bm25/oracle.test-support.js";
import { conformancePassages, searchConformance } from "../conformance.js";
import { SearchError } from "../engine.js";
import { loadIntoOpenSearch } from "./opensearch-load.js";
import { OpenSearchEngine } from "./opensearch.js";
import { listening, sendJson } from "./servers.test-support.js";
import type { Answer, Asked, TestServer } from "./servers.test-support.js";
import type { StoredPassage } from "../../types.js";

const hit = (id: string, source: object) => ({ _id: id, _score: 2, _source: source });
const items = (...lists: object[][]): Answer => ({
  status: 200,
  body: { responses: lists.map((hits) => ({ hits: { hits }, timed_out: false, _shards: { total: 1, failed: 0 } })) },
});
const refused = (status: number, reason: string) => ({
  error: { root_cause: [{ type: "some_exception", reason }], type: "outer", reason: "all shards failed" },
  status,
});
const textField = { type: "text" };

describe("opensearch", () => {
  let server: TestServer | undefined;
  afterEach(() => server?.close());

  /** A server with one index "wiki" that has these fields. */
  async function serving(properties: object, answer: (asked: Asked, search: number) => Answer) {
    const asked: Asked[] = [];
    let searches = 0;
    server = await listening((request, response) => {
      asked.push(request);
      const missing = refused(404, "no such index [other]");
      if (request.path === "/_cat/indices")
        return sendJson(response, { status: 200, body: [{ index: "wiki" }, { index: "nq" }, { index: ".hidden" }] });
      if (request.path === "/wiki/_mapping")
        return sendJson(response, { status: 200, body: { "wiki-2": { mappings: { properties } } } });
      if (!request.path.startsWith("/wiki/")) return sendJson(response, { status: 404, body: missing });
      sendJson(response, answer(request, ++searches));
    });
    return { url: server.url, asked };
  }
  const searchesIn = ({ body }: Asked) =>
    body
      .trimEnd()
      .split("\n")
      .filter((_, line) => line % 2 === 1)
      .map((line) => JSON.parse(line) as { query: { multi_match: { query: string; fields: string[] } }; size: number });

  it("a query that is refused inside of an answer takes no other along, and nothing is asked again", async () => {
    const { url, asked } = await serving({ text: textField }, (request) => {
      const answers = searchesIn(request).map(({ query }) =>
        query.multi_match.query === "odd"
          ? refused(400, "too_many_clauses")
          : (items([hit("1", { text: "first" })]).body as { responses: object[] }).responses[0],
      );
      return { status: 200, body: { responses: answers } };
    });
    const engine = await OpenSearchEngine.open({ url, collection: "wiki" });
    const before = asked.length;
    const lists = await engine.searchBatch(["good", "odd", "better"], 3);
    expect(lists.map((list) => list[0]?.id ?? list.refused)).toEqual([
      "1",
      expect.stringContaining("a query was refused: too_many_clauses") as string,
      "1",
    ]);
    expect(asked.length - before).toBe(1);
    await expect(engine.searchBatch(["odd"], 3)).rejects.toMatchObject({ status: 400 });
    await engine.close();
  });

  it("asks _msearch for the fields that the index has, and reads _id, _score and _source", async () => {
    const { url, asked } = await serving({ title: textField, text: textField, year: { type: "long" } }, () =>
      items([hit("p1", { title: "Peru", text: "Lima" })], []),
    );
    const engine = await OpenSearchEngine.open({ url: `${url}/`, collection: "wiki" });
    expect(await engine.searchBatch(["capital", "nothing"], 4)).toEqual([
      [{ id: "p1", title: "Peru", text: "Lima", score: 2 }],
      [],
    ]);
    const request = asked[asked.length - 1];
    expect([request.method, request.path]).toEqual(["POST", "/wiki/_msearch"]);
    expect(request.body.split("\n")[0]).toBe("{}");
    expect(searchesIn(request)[0]).toEqual({
      size: 4,
      query: { multi_match: { query: "capital", fields: ["title", "text"], type: "most_fields" } },
      _source: ["title", "text", "url", "section"],
      track_total_hits: false,
    });
    await engine.close();
  });

  it("takes fields with boosts from the collection's name, and Search-R1's contents apart", async () => {
    const { url, asked } = await serving({ name: textField, body: textField, contents: textField }, ({ body }) =>
      body.includes('"contents"')
        ? items([hit("1", { contents: '"Peru"\nLima' })])
        : items([hit("1", { name: "Peru", body: "Lima" })]),
    );
    for (const [collection, fields] of [
      ["wiki/name^2,body", ["name^2", "body"]],
      ["wiki", ["contents"]],
    ] as const) {
      const engine = await OpenSearchEngine.open({ url, collection });
      expect(await engine.searchBatch(["x"], 1)).toEqual([[{ id: "1", title: "Peru", text: "Lima", score: 2 }]]);
      expect(searchesIn(asked[asked.length - 1])[0].query.multi_match.fields).toEqual(fields);
      await engine.close();
    }
  });

  it("queries refused as too many inside of a 200 are asked again, and those alone", async () => {
    const { url, asked } = await serving({ text: textField }, (request, search) => {
      if (search > 1) return items(...searchesIn(request).map(() => [hit("2", { text: "second" })]));
      const [good] = (items([hit("1", { text: "first" })]).body as { responses: object[] }).responses;
      return { status: 200, body: { responses: [good, refused(429, "rejected execution")] } };
    });
    const engine = await OpenSearchEngine.open({ url, collection: "wiki", firstDelayMs: 1 });
    const lists = await engine.searchBatch(["a", "b"], 1);
    expect(lists.map(([{ text }]) => text)).toEqual(["first", "second"]);
    expect(searchesIn(asked[asked.length - 1]).map(({ query }) => query.multi_match.query)).toEqual(["b"]);
  });

  it.each<[string, object, RegExp, boolean]>([
    ["a refused query", refused(400, "failed to create query"), /a query was refused: failed to create query/, false],
    ["a server out of threads", refused(503, "no shard available"), /no shard available \(tried 2 times\)/, true],
    [
      "results of some shards only",
      { _shards: { total: 5, failed: 2, failures: [{ reason: { reason: "gone" } }] } },
      /2 of 5 shards failed: gone/,
      true,
    ],
    ["a search cut off by the server", { timed_out: true, hits: { hits: [] } }, /ran out of time/, true],
    [
      "a document without text",
      { hits: { hits: [hit("7", { title: "t" })] } },
      /document "7" has no text in its field "text"/,
      false,
    ],
    ["a hit without id", { hits: { hits: [{ _score: 1 }] } }, /_id must be text/, false],
  ])("%s inside of a 200 is a SearchError", async (_, item, message, isRetryable) => {
    const { url } = await serving({ text: textField }, () => ({ status: 200, body: { responses: [item] } }));
    const engine = await OpenSearchEngine.open({ url, collection: "wiki", retries: 1, firstDelayMs: 1 });
    const failure = await engine.searchBatch(["a"], 1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SearchError);
    expect(failure).toMatchObject({ isRetryable, engine: "opensearch" });
    expect((failure as Error).message).toMatch(message);
  });

  it.each([
    ["wikki", /no index "wikki".*There are nq, wiki at.*Did you mean wiki\?/],
    ["", /needs an index.*There are nq, wiki at/],
    ["wiki/headline,text", /no text field "headline".*Its text fields: summary, text/],
  ])("opening %j says what is there", async (collection, message) => {
    const { url } = await serving({ summary: textField, text: textField }, () => items([]));
    const opening = OpenSearchEngine.open({ url, collection });
    await expect(opening).rejects.toBeInstanceOf(UserError);
    await expect(opening).rejects.toThrow(message);
  });

  it("an index without a known text field names those that it has", async () => {
    const { url } = await serving({ summary: textField, year: { type: "long" } }, () => items([]));
    await expect(OpenSearchEngine.open({ url, collection: "wiki" })).rejects.toThrow(
      /no field that is known.*text fields: summary\. Name them with --collection wiki\/TITLE,TEXT/,
    );
  });

  it("cuts queries of more words than a server takes", async () => {
    const { url, asked } = await serving({ title: textField, text: textField }, () => items([]));
    const engine = await OpenSearchEngine.open({ url, collection: "wiki" });
    await engine.searchBatch(["x ".repeat(5_000)], 1);
    expect(searchesIn(asked[asked.length - 1])[0].query.multi_match.query).toHaveLength(500);
  });

  it("sends user and password or a key, and shows neither", async () => {
    const seen: (string | null)[] = [];
    const quoting: Partial<HttpTools> = {
      fetch: async (_, init) => {
        const authorization = new Headers(init?.headers).get("authorization");
        seen.push(authorization);
        return new Response(`${authorization} passw0rd k3y`, { status: 500 });
      },
    };
    const given = { url: "http://h", collection: "wiki", retries: 0 };
    for (const secrets of [{ username: "me", password: "passw0rd" }, { apiKey: "k3y" }]) {
      const failure = await OpenSearchEngine.open({ ...given, ...secrets }, quoting).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(SearchError);
      expect(inspect(failure, { depth: 9 })).not.toMatch("username" in secrets ? /passw0rd|bWU6/ : /k3y/);
    }
    expect(seen).toEqual([`Basic ${Buffer.from("me:passw0rd").toString("base64")}`, "ApiKey k3y"]);
    const refusing = { fetch: async () => new Response("", { status: 401 }) };
    await expect(OpenSearchEngine.open(given, refusing)).rejects.toThrow(/Set OPENSEARCH_USERNAME/);
  });

  it("a load names the passage that was refused", async () => {
    const loading = (answer: Answer) =>
      loadIntoOpenSearch(
        [{ id: "1", title: "", text: "" }],
        { url: "http://h", collection: "wiki", retries: 0 },
        {
          fetch: async (_, init) => Response.json(init?.method === "PUT" ? {} : answer.body, { status: answer.status }),
        },
      );
    const item = { index: { _id: "1", error: { reason: "too large" } } };
    const failing = loading({ status: 200, body: { errors: true, items: [item] } });
    await expect(failing).rejects.toBeInstanceOf(UserError);
    await expect(failing).rejects.toThrow(/refused a passage: "1": too large/);
    await expect(loading({ status: 500, body: {} })).rejects.toBeInstanceOf(SearchError);
  });

  it("a load halves what is too large for one request, names a passage that is, and refuses an id that occurs twice", async () => {
    const written: string[] = [];
    const loading = (texts: readonly string[], ids = texts.map((_, index) => `p${index}`)) =>
      loadIntoOpenSearch(
        texts.map((text, index) => ({ id: ids[index], title: "", text })),
        { url: "http://h", collection: "wiki", retries: 0 },
        {
          fetch: async (url, init) => {
            if (!String(url as string).endsWith("_bulk")) return Response.json({});
            const body = String(init?.body as string);
            if (body.length > 500) return new Response("too large", { status: 413 });
            written.push(...(body.match(/p\d+/g) ?? []));
            return Response.json({ errors: false });
          },
        },
      );
    expect(await loading(Array.from({ length: 40 }, () => "lima"))).toBe(40);
    expect(written).toEqual(Array.from({ length: 40 }, (_, index) => `p${index}`));
    await expect(loading(["a", "x".repeat(600), "b"])).rejects.toThrow(/refused a passage: "p1": .*413: "too large"/);
    await expect(loading(["one", "two"], ["doc", "doc"])).rejects.toThrow(/id "doc" stands for two passages/);
  });
});

/** Halves of surrogate pairs do not come back from a load as they were. */
const isWellFormed = ({ text }: StoredPassage): boolean => !/\p{Surrogate}/u.test(text);

const real = process.env.SLEUTH_OPENSEARCH_URL ?? "";

describe.skipIf(real === "")("opensearch, a real server (skipped unless SLEUTH_OPENSEARCH_URL names one)", () => {
  const made: string[] = [];
  const load = async (passages: readonly StoredPassage[], ranking: { k1?: number; b?: number } = {}) => {
    const collection = `sleuth-test-${process.pid}-${made.length}`;
    made.push(collection);
    expect(await loadIntoOpenSearch(passages, { url: real, collection, batch: 5, ...ranking })).toBe(passages.length);
    return collection;
  };
  afterAll(async () => {
    for (const name of made) await fetch(`${real}/${name}`, { method: "DELETE" });
  });

  searchConformance(
    "opensearch, real",
    async (passages) => OpenSearchEngine.open({ url: real, collection: await load(passages.filter(isWellFormed)) }),
    { ranking: "own" },
  );

  describe("beside the oracle", () => {
    let engine: OpenSearchEngine;
    let collection: string;
    beforeAll(async () => {
      collection = await load(conformancePassages);
      engine = await OpenSearchEngine.open({ url: real, collection });
    });
    afterAll(() => engine.close());

    // It has an emoji, which is a term for Lucene and none for us: then lengths differ.
    const passages = conformancePassages.filter(isWellFormed);

    it("its scores are k1 + 1 times our BM25's, in the same order", async () => {
      const plain = await OpenSearchEngine.open({ url: real, collection: await load(passages) });
      const queries = ["capital of Peru", "owls at night", "currency", "songs in Berlin", "twins zwilling", "東京"];
      for (const [index, list] of (await plain.searchBatch(queries, 10)).entries()) {
        const expected = bruteForceBm25(passages, queries[index], 10);
        expect(list.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
        for (const [rank, { score }] of list.entries()) expect(score / 1.9).toBeCloseTo(expected[rank].score, 5);
      }
      await plain.close();
    });

    it("finds a passage with half a surrogate pair", async () => {
      const [list] = await engine.searchBatch(["lighthouse"], 5);
      expect(list.map(({ id }) => id).sort()).toEqual(["hostile", "untitled"]);
      expect(list.find(({ id }) => id === "hostile")?.text).toContain("\ufffd");
    });

    it("takes queries of thousands of words, and loading again replaces", async () => {
      const words = Array.from({ length: 3_000 }, (_, word) => `w${word}`).join(" ");
      expect(await engine.searchBatch([words, "東京".repeat(3_000), "lima"], 1)).toHaveLength(3);
      await loadIntoOpenSearch(conformancePassages, { url: real, collection });
      expect((await engine.searchBatch(["owl"], 50))[0].map(({ id }) => id)).toEqual(["owl"]);
    });

    it("a missing index is a UserError that names those there", async () => {
      const opening = OpenSearchEngine.open({ url: real, collection: "sleuth-nowhere" });
      await expect(opening).rejects.toBeInstanceOf(UserError);
      await expect(opening).rejects.toThrow(/no index "sleuth-nowhere".*There are .*sleuth-test/);
    });
  });
});
