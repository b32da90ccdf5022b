import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { SearchError, type PassageList } from "../engine.js";
import { DenseEngine } from "./engine.js";
import {
  sendData,
  sendVectors,
  serverDimensions,
  startEmbeddingsServer,
  wordVector,
  type EmbeddingsServer,
} from "./embeddings-server.test-support.js";
import type { EncoderSource } from "./encoder.js";
import { HttpEncoder } from "./http-encoder.js";
import { openEncoder } from "./open-encoder.js";

let server: EmbeddingsServer;
beforeAll(async () => {
  server = await startEmbeddingsServer();
});
afterEach(() => {
  server.requests.length = 0;
  server.misbehave.length = 0;
});
afterAll(() => server.close());

const noWait = { sleep: () => Promise.resolve() };

function open(
  settings: ConstructorParameters<typeof HttpEncoder>[1] = {},
  source: Partial<EncoderSource> = {},
): HttpEncoder {
  return new HttpEncoder({ location: server.url, model: "test-model", ...source }, settings, noWait);
}

function unit(vector: readonly number[]): number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return [...Float32Array.from(vector, (value) => value / length)];
}

async function failureOf(work: Promise<unknown>): Promise<SearchError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SearchError);
  return error as SearchError;
}

describe("HttpEncoder", () => {
  it("asks in batches, keeps the order and brings vectors to length one", async () => {
    const encoder = open({ batchSize: 3, concurrency: 2 });
    const texts = ["owl", "capital of Peru", "", "a \ud800 b", "five", "six", "seven"];
    const vectors = await encoder.encode(texts, "passage");
    expect(server.requests.map(({ input }) => input.length).sort()).toEqual([1, 3, 3]);
    expect(server.requests[0]).toMatchObject({ model: "test-model", path: "/v1/embeddings", authorization: undefined });
    expect(encoder.dimensions).toBe(serverDimensions);
    for (const [row, text] of ["owl", "capital of Peru", " ", "a \ufffd b", "five", "six", "seven"].entries())
      expect([...vectors.subarray(row * serverDimensions, (row + 1) * serverDimensions)]).toEqual(
        unit(wordVector(text)),
      );
    expect(encoder.counts()).toEqual({
      textsEncoded: 7,
      encoderRequests: 3,
      encoderRetries: 0,
      encoderFailures: 0,
      encoderBreakerOpen: 0,
      textsRefused: 0,
    });
    expect(await encoder.encode([], "query")).toEqual(new Float32Array(0));
  });

  it("puts vectors where their indices say, and reads base64", async () => {
    const encoder = open();
    server.misbehave.push((_, response) => {
      const base64 = Buffer.from(Float32Array.of(0, 3, 4).buffer).toString("base64");
      sendData(response, [
        { index: 1, embedding: [2, 0, 0] },
        { index: 0, embedding: base64 },
      ]);
    });
    expect([...(await encoder.encode(["a", "b"], "query"))]).toEqual([...Float32Array.of(0, 0.6, 0.8, 1, 0, 0)]);
  });

  it("knows prefixes by the model's name", async () => {
    await open({}, { model: "intfloat/e5-base-v2" }).encode(["owl"], "query");
    await open({}, { model: "intfloat/e5-base-v2" }).encode(["owl"], "passage");
    await open({}, { queryPrefix: "Q " }).encode(["owl"], "query");
    expect(server.requests.map(({ input }) => input[0])).toEqual(["query: owl", "passage: owl", "Q owl"]);
  });

  it.each<[string, unknown, RegExp]>([
    ["fewer vectors than texts", [{ index: 0, embedding: [1] }], /1 vectors for 2 texts/],
    ["no list", { a: 1 }, /no list "data"/],
    ["an index twice", [0, 0].map((index) => ({ index, embedding: [1, 2] })), /index 0 stands there twice/],
    ["an index beyond", [0, 2].map((index) => ({ index, embedding: [1, 2] })), /index of vector 1 is 2/],
    [
      "null among the numbers",
      [
        [1, 2],
        [1, null],
      ].map((embedding, index) => ({ index, embedding })),
      /vector 1 holds null at place 1/,
    ],
    [
      "zeros",
      [
        [1, 2],
        [0, 0],
      ].map((embedding, index) => ({ index, embedding })),
      /vector 1 is zero or not finite/,
    ],
    [
      "numbers beyond all bounds",
      [
        [1, 2],
        [1e200, 1e200],
      ].map((embedding, index) => ({ index, embedding })),
      /vector 1 is zero or not finite/,
    ],
    [
      "different dimensions",
      [
        [1, 2],
        [1, 2, 3],
      ].map((embedding, index) => ({ index, embedding })),
      /vector 1 has 3 numbers where others have 2/,
    ],
    ["no vector", [[1, 2], []].map((embedding, index) => ({ index, embedding })), /vector 1 is no list/],
    [
      "half of a number in base64",
      [[1, 2], "AAA="].map((embedding, index) => ({ index, embedding })),
      /vector 1 is no base64/,
    ],
  ])("refuses %s at once", async (_, data, message) => {
    server.misbehave.push((__, response) => sendData(response, data));
    const error = await failureOf(open().encode(["a", "b"], "query"));
    expect(error.message).toMatch(message);
    expect(error.isRetryable).toBe(false);
    expect(server.requests).toHaveLength(1);
  });

  it("refuses answers that are not JSON, and later vectors of other dimensions", async () => {
    server.misbehave.push(
      (_, response) => void response.end("<html>"),
      (_, response) => sendVectors(response, [[1, 2]]),
    );
    const encoder = open();
    expect((await failureOf(encoder.encode(["a"], "query"))).message).toMatch(/not JSON/);
    await encoder.encode(["a"], "query");
    expect((await failureOf(encoder.encode(["a"], "query"))).message).toMatch(/16 numbers where others have 2/);
  });

  describe("a text that the endpoint refuses", () => {
    const long = "endless ".repeat(50);
    const refusing = (): void => {
      const refuse: EmbeddingsServer["misbehave"][number] = ({ input }, response) =>
        input.some((text) => text.length > 200) && void sendData(response, [], 413);
      server.misbehave.push(...Array.from({ length: 100 }, () => refuse));
    };

    it("takes no other along, and is named", async () => {
      refusing();
      const encoder = open({ batchSize: 8 });
      const texts = Array.from({ length: 20 }, (_, index) => `text ${index}`);
      const places: number[] = [];
      const onRefused = (place: number, error: Error): void => {
        places.push(place);
        expect(error).toBeInstanceOf(SearchError);
      };
      const some = texts.with(3, long).with(19, long);
      const vectors = await encoder.encode(some, "passage", { onRefused });
      expect(places).toEqual([3, 19]);
      const taken = some.filter((text) => text !== long);
      for (const [row, text] of taken.entries())
        expect([...vectors.subarray(row * serverDimensions, (row + 1) * serverDimensions)]).toEqual(
          unit(wordVector(text)),
        );
      expect(vectors).toHaveLength(taken.length * serverDimensions);
      expect(encoder.counts()).toMatchObject({ textsEncoded: 18, textsRefused: 2 });
    });

    it("is told from a batch of too many texts, which are sent in smaller ones from then on", async () => {
      const most: EmbeddingsServer["misbehave"][number] = ({ input }, response) =>
        input.length > 4 && void sendData(response, [], 422);
      server.misbehave.push(...Array.from({ length: 100 }, () => most));
      const encoder = open({ batchSize: 8 });
      const texts = Array.from({ length: 16 }, (_, index) => `text ${index}`);
      const vectors = await encoder.encode(texts, "passage");
      expect(server.requests.map(({ input }) => input.length).sort()).toEqual([4, 4, 4, 4, 8, 8]);
      server.requests.length = 0;
      expect(await encoder.encode(texts, "passage")).toEqual(vectors);
      expect(server.requests.map(({ input }) => input.length)).toEqual([4, 4, 4, 4]);
    });

    it("without a listener fails the call by its place and words", async () => {
      refusing();
      const error = await failureOf(open().encode(["a", "b", long], "passage"));
      expect(error.message).toMatch(/answered 413.*It is asked for text 3 of 3, of 400 characters: "endless endless/);
      expect([error.status, error.isRetryable]).toEqual([413, false]);
    });

    it("of a search is an empty list that is marked; the others are answered, and other callers too", async () => {
      refusing();
      const engine = new DenseEngine(open(), {
        count: 1,
        dimensions: serverDimensions,
        encoder: undefined,
        search: async (queries) =>
          Array.from({ length: queries.length / serverDimensions }, (_, row) => [
            { id: "1", title: "", text: "", score: queries[row * serverDimensions] },
          ]),
        close: async () => undefined,
      });
      const [alone, together, other] = await Promise.allSettled([
        engine.searchBatch([long], 1),
        engine.searchBatch(["owl", "", long, "peru"], 1),
        engine.searchBatch(["peru"], 1),
      ]);
      expect(alone).toMatchObject({ status: "rejected", reason: { status: 413 } });
      const lists = (together as PromiseFulfilledResult<PassageList[]>).value;
      expect(lists.map(({ length, refused }) => [length, refused !== undefined])).toEqual([
        [1, false],
        [0, false],
        [0, true],
        [1, false],
      ]);
      expect((other as PromiseFulfilledResult<PassageList[]>).value[0]).toEqual(lists[3]);
      await engine.close();
    });
  });

  it.each([429, 500, 503])("tries again after %i", async (status) => {
    server.misbehave.push(
      (_, response) => sendData(response, [], status),
      (_, response) => sendData(response, [], status),
    );
    await open().encode(["a"], "query");
    expect(server.requests).toHaveLength(3);
  });

  it("gives up after its tries, says how often, and that it may work later", async () => {
    for (let tries = 0; tries < 4; tries++) server.misbehave.push((_, response) => sendData(response, [], 500));
    const error = await failureOf(open().encode(["a"], "query"));
    expect([error.isRetryable, error.status]).toEqual([true, 500]);
    expect(error.message).toMatch(/tried 4 times/);
  });

  it("a server that hangs or breaks off is left at the deadline", async () => {
    server.misbehave.push(
      () => {},
      (_, response) => void response.destroy(),
    );
    const error = await failureOf(open({ timeoutMs: 60, retries: 1 }).encode(["a"], "query"));
    expect(error.isRetryable).toBe(true);
    expect(server.requests).toHaveLength(2);
  });

  it("has a deadline for the whole call, longer for lists that take several rounds", async () => {
    for (let request = 0; request < 3; request++) server.misbehave.push(() => {});
    const settings = { timeoutMs: 60_000, deadlineMs: 80, batchSize: 1, concurrency: 1 };
    const error = await failureOf(open(settings).encode(["a"], "query"));
    expect(error.message).toContain("no answer within 80 ms, retries included");
    expect(error.isRetryable).toBe(true);
    expect((await failureOf(open(settings).encode(["a", "b"], "query"))).message).toContain("no answer within 160 ms");
  });

  it("the time of a search is a deadline for the call, not for each try", async () => {
    for (let request = 0; request < 4; request++) server.misbehave.push(() => {});
    const encoder = await openEncoder({ location: server.url, model: "m" }, { environment: {}, timeoutMs: 60 });
    expect((await failureOf(encoder.encode(["a"], "query"))).message).toContain("no answer within 60 ms");
    expect(server.requests).toHaveLength(1);
    await encoder.close();
  });

  it("an endpoint that keeps failing is left alone, and asked again after a while", async () => {
    for (let tries = 0; tries < 3; tries++) server.misbehave.push((_, response) => sendData(response, [], 503));
    const encoder = open({ retries: 1, breaker: { failuresInRow: 3, restMs: 200 } });
    expect((await failureOf(encoder.encode(["a"], "query"))).message).toMatch(/503.*tried 2 times/);
    expect((await failureOf(encoder.encode(["a"], "query"))).message).toMatch(/left alone/);
    const refused = await failureOf(encoder.encode(["a"], "query"));
    expect(refused.message).toMatch(/left alone for another \d+ ms, since 3 requests in a row have failed.*503/);
    expect(refused.isRetryable).toBe(true);
    expect(server.requests).toHaveLength(3);
    await new Promise((resolve) => setTimeout(resolve, 210));
    await encoder.encode(["a"], "query");
    expect(encoder.counts()).toEqual({
      textsEncoded: 1,
      encoderRequests: 4,
      encoderRetries: 1,
      encoderFailures: 3,
      encoderBreakerOpen: 1,
      textsRefused: 0,
    });
  });

  it("a key is sent and never told", async () => {
    server.misbehave.push((_, response) => sendData(response, [], 401));
    const error = await failureOf(open({ key: "sk-secret" }).encode(["a"], "query"));
    expect(server.requests[0].authorization).toBe("Bearer sk-secret");
    expect(error.isRetryable).toBe(false);
    expect(JSON.stringify([error.message, error, error.cause, open({ key: "sk-secret" }).name])).not.toContain(
      "sk-secret",
    );
  });

  it("a key that the server quotes is not told either", async () => {
    const quoting = (async (_: unknown, init?: RequestInit) =>
      new Response(`who is ${new Headers(init?.headers).get("authorization")}?`, { status: 401 })) as typeof fetch;
    const source = { location: "http://quoting.test", model: "m" };
    const error = await failureOf(
      new HttpEncoder(source, { key: "sk-secret" }, { fetch: quoting }).encode(["a"], "query"),
    );
    expect(error.message).toContain("who is Bearer [key]?");
    expect(inspect(error, { depth: 9 })).not.toContain("sk-secret");
  });

  it("keys come from the environment, but no index can name who gets them", async () => {
    const source = { location: server.url, model: "m" };
    const environment = { EMBEDDINGS_API_KEY: "own", OPENAI_API_KEY: "openai" };
    await (await openEncoder(source, { environment })).encode(["a"], "query");
    await (await openEncoder(source, { environment: { OPENAI_API_KEY: "openai" } })).encode(["a"], "query");
    await (await openEncoder(source, { environment, isFromIndex: true })).encode(["a"], "query");
    expect(server.requests.map(({ authorization }) => authorization)).toEqual([
      "Bearer own",
      "Bearer openai",
      undefined,
    ]);
    const sent: unknown[] = [];
    const openAi = await openEncoder(
      { location: "https://api.openai.com/v1", model: "m" },
      {
        environment,
        isFromIndex: true,
        http: {
          fetch: (_, init) => {
            sent.push((init?.headers as Record<string, string>).authorization);
            return Promise.resolve(Response.json({ data: [{ index: 0, embedding: [1] }] }));
          },
        },
      },
    );
    await openAi.encode(["a"], "query");
    expect(sent).toEqual(["Bearer openai"]);
  });

  it("a caller who leaves gets its own reason; closing ends what is under way", async () => {
    server.misbehave.push(
      () => {},
      () => {},
    );
    const encoder = open();
    const controller = new AbortController();
    const reason = new Error("left");
    const waiting = encoder.encode(["a"], "query", { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(waiting).rejects.toBe(reason);
    const other = failureOf(encoder.encode(["a"], "query"));
    await encoder.close();
    expect((await other).message).toMatch(/closed/);
    expect((await failureOf(encoder.encode(["a"], "query"))).message).toMatch(/closed/);
  });

  it.each([
    [{ location: "not an address" }, /is not an address/],
    [{ location: "http://user:secret@localhost" }, /must not hold a password/],
    [{ location: "http://localhost/v1?api_key=secret" }, /must not hold a key/],
    [{ model: "" }, /needs the name of a model/],
    [{ pooling: "cls" as const }, /leave out pooling/],
  ])("refuses %j", (source, message) => {
    expect(() => open({}, source)).toThrow(UserError);
    expect(() => open({}, source)).toThrow(message);
  });

  it.each([
    ["http://a:1", "http://a:1/v1/embeddings"],
    ["http://a:1/v1/", "http://a:1/v1/embeddings"],
    ["http://a:1/openai/v1", "http://a:1/openai/v1/embeddings"],
    ["http://a:1/custom/embed?version=2", "http://a:1/custom/embed?version=2"],
  ])("%s means %s", (location, url) => {
    expect(open({}, { location }).source.location).toBe(url);
  });
});
