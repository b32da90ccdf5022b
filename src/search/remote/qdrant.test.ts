/**
 * @file Qdrant: what is asked and found out, against a server in the test that speaks its published interface. No registry holds a Qdrant
 * server; bodies and answers were checked against the models of its own Python client (1.15.1).
 */
import { inspect } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { StoredPassage } from "../../types.js";
import type { Encoder } from "../dense/encoder.js";
import { SearchError } from "../engine.js";
import { QdrantEngine } from "./qdrant.js";
import { listening, qdrantServer, sendJson, wordEncoder } from "./servers.test-support.js";
import type { Answer, Asked, TestServer } from "./servers.test-support.js";

const passages = [
  { id: "peru", title: "Peru", text: "lima" },
  { id: "owl", title: "Owls", text: "night" },
];
const oneVector = { size: 32, distance: "Cosine" };

describe("qdrant", () => {
  let server: TestServer | undefined;
  afterEach(() => server?.close());

  async function serving(answer: (asked: Asked) => Promise<Answer>) {
    const asked: Asked[] = [];
    server = await listening(async (request, response) => {
      asked.push(request);
      sendJson(response, await answer(request));
    });
    const last = (): Asked => asked[asked.length - 1];
    const search = (): unknown => (JSON.parse(last().body) as { searches: unknown[] }).searches[0];
    return { url: server.url, last, search };
  }
  const open = (url: string, collection = "wiki", encoder = wordEncoder()) =>
    QdrantEngine.open({ url, collection, retries: 0 }, encoder);

  it("sends the queries' vectors to query/batch and reads the payload", async () => {
    const { url, last, search } = await serving(qdrantServer(passages, "1.15.1"));
    const engine = await open(`${url}/`);
    const [[best], [other]] = await engine.searchBatch(["peru lima", "owls"], 2);
    expect([best, other.id]).toEqual([{ ...passages[0], score: expect.closeTo(1, 6) as number }, "owl"]);
    expect([last().method, last().path]).toEqual(["POST", "/collections/wiki/points/query/batch"]);
    expect(search()).toEqual({
      query: expect.arrayContaining([expect.any(Number)]) as number[],
      limit: 2,
      with_payload: ["title", "text", "id", "url", "section"],
    });
    await engine.close();
  });

  it("shows every chunk of a document whose doc_id its chunks share", async () => {
    const texts = ["lima night", "lima harbour", "lima berth fees", "lima", "lima"];
    const chunks = texts.map((text) => ({ doc_id: "peru.pdf", id: undefined, title: "Peru", text }));
    const { url } = await serving(qdrantServer(chunks as unknown as StoredPassage[], "1.15.1"));
    const engine = await open(url);
    const [list] = await engine.searchBatch(["lima"], 5);
    expect(list.map(({ id }) => id)).toEqual(["peru.pdf", "peru.pdf", "peru.pdf", "peru.pdf"]);
    expect(new Set(list.map(({ text }) => text))).toEqual(new Set(texts));
    expect(engine.counts()).toMatchObject({ duplicates: 1 });
    await engine.close();
  });

  it("a query that the encoder's endpoint refuses takes no other along", async () => {
    const { url } = await serving(qdrantServer(passages, "1.15.1"));
    const words = wordEncoder();
    const encode: Encoder["encode"] = async (texts, kind, { onRefused } = {}) => {
      for (const [place, text] of texts.entries()) if (text === "long") onRefused?.(place, new Error("too long"));
      return words.encode(
        texts.filter((text) => text !== "long"),
        kind,
      );
    };
    const engine = await open(url, "wiki", { ...words, encode });
    const lists = await engine.searchBatch(["long", "owls", "peru"], 1);
    expect(lists.map((list) => list[0]?.id ?? list.refused)).toEqual(["too long", "owl", "peru"]);
    await expect(engine.searchBatch(["long"], 1)).rejects.toThrow("too long");
    await engine.close();
  });

  it("asks servers before 1.10 by search/batch", async () => {
    const { url, last, search } = await serving(qdrantServer(passages, "1.09.2"));
    const engine = await open(url);
    expect((await engine.searchBatch(["owls night"], 1))[0][0].id).toBe("owl");
    expect(last().path).toBe("/collections/wiki/points/search/batch");
    expect(search()).toMatchObject({ vector: expect.arrayContaining([expect.any(Number)]) as number[] });
  });

  it.each([
    ["the only one", { e5: oneVector }, "wiki"],
    ["the chosen one", { e5: oneVector, other: { size: 7, distance: "Dot" } }, "wiki@e5"],
  ])("named vectors: %s", async (_, vectors, collection) => {
    for (const version of ["1.15.1", "1.09.2"]) {
      const { url, search } = await serving(qdrantServer(passages, version, vectors));
      const engine = await open(url, collection);
      expect((await engine.searchBatch(["owls night"], 1))[0][0].id).toBe("owl");
      expect(search()).toMatchObject(version === "1.15.1" ? { using: "e5" } : { vector: { name: "e5" } });
      await server?.close();
    }
  });

  it("fields are named or recognised; ids come from the payload, else from the point", async () => {
    const payloads = [{ headline: "Peru", body: "lima" }];
    const named = qdrantServer(payloads as never, "1.15.1");
    const { url } = await serving(named);
    const engine = await open(url, "wiki/headline,body");
    expect((await engine.searchBatch(["x"], 1))[0]).toEqual([{ id: "0", title: "Peru", text: "lima", score: 0 }]);
    await server?.close();

    const contents = await serving(qdrantServer([{ id: "p", contents: '"Peru"\nlima' }] as never, "1.15.1"));
    expect((await (await open(contents.url)).searchBatch(["x"], 1))[0]).toMatchObject([
      { id: "p", title: "Peru", text: "lima" },
    ]);
  });

  it("distances are negated: more is better", async () => {
    const near = { size: 32, distance: "Euclid" };
    const { url } = await serving(async (asked) => {
      const answer = await qdrantServer(passages, "1.15.1", near)(asked);
      if (answer.isSearch !== true) return answer;
      const points = passages.map((payload, id) => ({ id, score: id + 0.5, payload }));
      return { status: 200, body: { result: [{ points }] } };
    });
    const [list] = await (await open(url)).searchBatch(["x"], 2);
    expect(list.map(({ score }) => score)).toEqual([-0.5, -1.5]);
  });

  it.each<[string, object, string, RegExp]>([
    ["a missing collection", oneVector, "wikki", /no collection "wikki".*There are wiki at.*Did you mean wiki\?/],
    ["no collection", oneVector, "", /needs a collection.*There are wiki/],
    ["several vectors", { a: oneVector, b: oneVector }, "wiki", /has several vectors.*a, b.*wiki@NAME/],
    ["an unknown vector", { a: oneVector }, "wiki@b", /has no vector "b".*Its vectors: a/],
    ["sparse vectors alone", {}, "wiki", /has no dense vectors/],
    ["an unknown field", oneVector, "wiki/body", /no field "body".*Its fields: id, title, text/],
    [
      "vectors of another length",
      { size: 384, distance: "Cosine" },
      "wiki",
      /have 384 numbers, those of words by their letters 32/,
    ],
  ])("opening with %s is a UserError", async (_, vectors, collection, message) => {
    const { url } = await serving(qdrantServer(passages, "1.15.1", vectors));
    await expect(open(url, collection)).rejects.toBeInstanceOf(UserError);
    await expect(open(url, collection)).rejects.toThrow(message);
  });

  it("an endpoint that does not say how long its vectors are is found out at the first search", async () => {
    const { url } = await serving(qdrantServer(passages, "1.15.1"));
    const encoder: Encoder = {
      ...wordEncoder(),
      dimensions: 0,
      encode: async (texts) => new Float32Array(texts.length * 5),
    };
    const failure = await (await open(url, "wiki", encoder)).searchBatch(["x"], 1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SearchError);
    expect((failure as Error).message).toMatch(/its vectors have 32 numbers, those of words by their letters 5/);
  });

  it("a point without text is a SearchError that names it", async () => {
    const { url } = await serving(async (asked) => {
      const answer = await qdrantServer(passages, "1.15.1")(asked);
      return answer.isSearch
        ? { status: 200, body: { result: [{ points: [{ id: 7, score: 1, payload: null }] }] } }
        : answer;
    });
    await expect((await open(url)).searchBatch(["x"], 1)).rejects.toThrow(
      /point 7 has no text in its payload's field "text"/,
    );
  });

  it("closes the encoder, and adds its counts", async () => {
    let closed = 0;
    const encoder: Encoder = { ...wordEncoder(), counts: () => ({ encoded: 3 }), close: async () => void closed++ };
    const { url } = await serving(qdrantServer(passages, "1.15.1"));
    const engine = await open(url, "wiki", encoder);
    expect(engine.counts()).toMatchObject({ encoded: 3, failures: 0 });
    await engine.close();
    expect(closed).toBe(1);
  });

  it("sends the key, and shows it nowhere", async () => {
    const seen: (string | null)[] = [];
    const refusing = (status: number) => ({
      fetch: async (_: unknown, init?: RequestInit) => {
        seen.push(new Headers(init?.headers).get("api-key"));
        return new Response("s3cret is wrong", { status });
      },
    });
    const given = { url: "http://h", collection: "wiki", apiKey: "s3cret", retries: 0 };
    const failure = await QdrantEngine.open(given, wordEncoder(), refusing(500)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SearchError);
    expect(inspect(failure, { depth: 9 })).not.toContain("s3cret");
    await expect(QdrantEngine.open(given, wordEncoder(), refusing(403))).rejects.toThrow(/Set QDRANT_API_KEY/);
    expect(seen).toEqual(["s3cret", "s3cret"]);
  });
});
