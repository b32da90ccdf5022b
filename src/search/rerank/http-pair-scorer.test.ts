/** @file `/rerank` services of three dialects, spoken to over real connections, and what they can do wrong. */
import { getEventListeners } from "node:events";
import type { Pair } from "../engine.js";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { SearchError } from "../engine.js";
import { dialectNames, HttpPairScorer } from "./http-pair-scorer.js";

type Body = Record<string, unknown>;

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

interface Asked {
  bodies: Body[];
  requests: IncomingMessage[];
  scorer: HttpPairScorer;
}

/** A scorer before a server in a function. */
async function scoring(
  answer: (body: Body, response: ServerResponse, request: number) => void,
  settings: Partial<ConstructorParameters<typeof HttpPairScorer>[0]> = {},
): Promise<Asked> {
  const asked = { bodies: [] as Body[], requests: [] as IncomingMessage[] };
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      const body = JSON.parse(text) as Body;
      asked.bodies.push(body);
      asked.requests.push(request);
      answer(body, response, asked.bodies.length);
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${settings.url ?? ""}`;
  const scorer = new HttpPairScorer({ retries: 2, ...settings, url }, { sleep: () => Promise.resolve() });
  return { ...asked, scorer };
}

/** Shared words: what the fake services score by. */
function overlap(query: string, passage: string): number {
  const words = new Set(query.split(" "));
  return passage.split(/[^a-z]+/).filter((word) => words.has(word)).length;
}

const send = (response: ServerResponse, value: unknown, status = 200): void => {
  response.statusCode = status;
  response.end(JSON.stringify(value));
};

/** Results of one query, best first as services send them. */
function results(query: string, passages: readonly string[], field: string): Body[] {
  return passages
    .map((passage, index): Body => ({ index, [field]: overlap(query, passage) }))
    .sort((a, b) => Number(b[field]) - Number(a[field]));
}

/** Each refuses what is not its own language, as the real ones do. */
const services: Record<(typeof dialectNames)[number], (body: Body, response: ServerResponse) => void> = {
  cohere: ({ query, documents }, response) => {
    if (typeof query !== "string" || !Array.isArray(documents)) return send(response, { message: "bad" }, 400);
    send(response, { id: "x", results: results(query, documents as string[], "relevance_score") });
  },
  tei: ({ query, texts }, response) => {
    if (typeof query !== "string" || !Array.isArray(texts)) return send(response, { error: "missing texts" }, 422);
    send(response, results(query, texts as string[], "score"));
  },
  // After rerank_server.py at commit a14dc3a, its pairing of every query with every list included.
  "search-r1": ({ queries, documents, rerank_topk, return_scores }, response) => {
    if (!Array.isArray(queries) || !Array.isArray(documents)) return send(response, { detail: "missing" }, 422);
    expect(return_scores).toBe(true);
    const texts = (documents as { contents: string }[][]).flat().map(({ contents }) => {
      const [title, ...lines] = contents.split("\n");
      return `(Title: ${title}) ${lines.join("\n")}`;
    });
    const result = (queries as string[]).map((query) =>
      texts
        .map((document) => ({ document, score: overlap(query, document) }))
        .sort((a, b) => b.score - a.score)
        .slice(0, Number(rerank_topk)),
    );
    send(response, { result });
  },
};

const pairs: Pair[] = [
  { query: "capital of peru", passage: "(Title: Peru (country)) lima is the capital of peru" },
  { query: "owls at night", passage: "owls hunt at night" },
  { query: "capital of peru", passage: "owls hunt at night" },
  { query: "capital of peru", passage: "the capital\nof chile" },
  { query: "owls at night", passage: "(Title: ) night" },
  { query: "owls at night", passage: "owls hunt at night" },
];
const expected = [3, 3, 0, 2, 1, 3];

describe("HttpPairScorer", () => {
  it.each(["cohere", "tei", "search-r1"] as const)("speaks %s, and finds out that it has to", async (name) => {
    const { scorer, bodies } = await scoring(services[name]);
    expect(await scorer.score(pairs)).toEqual(expected);
    const detours = { cohere: 0, tei: 1, "search-r1": 2 }[name];
    expect(bodies).toHaveLength(detours + 2);
    expect(await scorer.score(pairs)).toEqual(expected);
    expect(bodies).toHaveLength(detours + 4);
    expect(scorer.counts()).toEqual({
      requests: detours + 4,
      retries: 0,
      failures: 0,
      breakerOpen: 0,
      pairsRefused: 0,
    });
  });

  it.each(dialectNames)(
    "%s: a candidate that is too long takes neither the others nor the finding out along",
    async (name) => {
      const { scorer, bodies } = await scoring((body, response) => {
        if (JSON.stringify(body).includes("endless")) send(response, { error: "413 is not everybody's" }, 400);
        else services[name](body, response);
      });
      const found = Array.from({ length: 31 }, (_, index) => ({ query: "owls at night", passage: `owls ${index}` }));
      const long = { query: "owls at night", passage: "endless owls ".repeat(500) };
      const alike = { query: "endless owls", passage: "owls at night" };
      const scores = await scorer.score([long, ...found, long, alike, ...pairs]);
      expect(scores).toEqual([undefined, ...found.map(() => 1), undefined, undefined, ...expected]);
      expect(bodies.length).toBeLessThan(30);
      expect(scorer.counts?.()).toMatchObject({ pairsRefused: 3 });
      await expect(scorer.score([long])).rejects.toMatchObject({ status: 400 });
    },
  );

  it("a service that refuses everything is asked a few times more, not for each passage", async () => {
    const many = Array.from({ length: 200 }, (_, index) => ({ query: `q ${index % 4}`, passage: `owls ${index}` }));
    const named = await scoring((_, response) => send(response, {}, 400), { dialect: "cohere" });
    await expect(named.scorer.score(many)).rejects.toMatchObject({ status: 400 });
    expect(named.bodies.length).toBeLessThan(50);
    server?.closeAllConnections();
    server?.close();
    const unnamed = await scoring((_, response) => send(response, {}, 422));
    await expect(unnamed.scorer.score(many)).rejects.toThrow(/understands none of the ways/);
    expect(unnamed.bodies).toHaveLength(6);
  });

  it("sends each query's passages alone, so many at a time, with model and key", async () => {
    const { scorer, bodies, requests } = await scoring(services.cohere, {
      url: "/v1/rerank#some-model",
      key: "secret",
      chunkSize: 2,
    });
    expect(await scorer.score(pairs)).toEqual(expected);
    expect(bodies.map(({ query, documents }) => [query, (documents as string[]).length])).toEqual(
      expect.arrayContaining([
        ["capital of peru", 2],
        ["capital of peru", 1],
        ["owls at night", 2],
        ["owls at night", 1],
      ]),
    );
    expect(bodies.reduce((sum, { documents }) => sum + (documents as string[]).length, 0)).toBe(pairs.length);
    for (const [index, { url, headers }] of requests.entries()) {
      expect([url, headers.authorization]).toEqual(["/v1/rerank", "Bearer secret"]);
      expect(bodies[index].model).toBe("some-model");
    }
  });

  it("sends no lone surrogates, on which servers written in Python fail", async () => {
    for (const name of dialectNames) {
      const { scorer, bodies } = await scoring(services[name]);
      const odd = [{ query: "owls \ud800", passage: "(Title: \udfff) owls \ud800" }];
      expect(await scorer.score(odd)).toEqual([1]);
      expect(JSON.stringify(bodies)).not.toMatch(/\\ud[89a-f]/i);
      server?.closeAllConnections();
      server?.close();
    }
  });

  it("tries again after 503, a broken connection and silence", async () => {
    const { scorer, bodies } = await scoring(
      (body, response, request) => {
        if (request === 1) send(response, {}, 503);
        else if (request === 2) response.destroy();
        else services.cohere(body, response);
      },
      { retries: 3 },
    );
    expect(await scorer.score(pairs.slice(0, 1))).toEqual([3]);
    expect(bodies).toHaveLength(3);
    const silent = await scoring(() => undefined, { timeoutMs: 30, retries: 1 });
    await expect(silent.scorer.score(pairs.slice(0, 1))).rejects.toMatchObject({ isRetryable: true });
    expect(silent.scorer.counts()).toEqual({ requests: 2, retries: 1, failures: 1, breakerOpen: 0, pairsRefused: 0 });
  });

  it.each([
    ["no JSON", (response: ServerResponse) => void response.end("<html>"), /not JSON: "<html>"/],
    ["no list", (response: ServerResponse) => send(response, { results: 3 }), /no list of results/],
    [
      "a result too few",
      (response: ServerResponse) => send(response, { results: [{ index: 0, score: 1 }] }),
      /1 results for 2/,
    ],
    [
      "an index twice",
      (response: ServerResponse) =>
        send(response, {
          results: [
            { index: 1, score: 1 },
            { index: 1, score: 1 },
          ],
        }),
      /passage 1 has two results/,
    ],
    [
      "an index beyond",
      (response: ServerResponse) =>
        send(response, {
          results: [
            { index: 0, score: 1 },
            { index: 2, score: 1 },
          ],
        }),
      /the index 2, with 2 passages/,
    ],
    [
      "a score that is none",
      (response: ServerResponse) => send(response, { results: [{ index: 0, score: "high" }, { index: 1 }] }),
      /score of passage 0 is "high", no finite number/,
    ],
  ])("refuses %s at once", async (_, answer, message) => {
    const { scorer, bodies } = await scoring((__, response) => answer(response));
    const search = scorer.score([pairs[0], pairs[2]]);
    await expect(search).rejects.toThrow(message);
    await expect(search).rejects.toMatchObject({ isRetryable: false, engine: "rerank" });
    expect(bodies).toHaveLength(1);
  });

  it("refuses an answer of Search-R1's server that lacks a passage", async () => {
    const answer = { result: [[{ document: "(Title: ) another", score: 1 }]] };
    const { scorer } = await scoring((_, response) => send(response, answer), { dialect: "search-r1" });
    await expect(scorer.score(pairs.slice(0, 1))).rejects.toThrow(/score of passage 0 is missing/);
  });

  it("says so when a service understands nothing, and hides the key that a service quotes", async () => {
    const { scorer, bodies } = await scoring((_, response) => send(response, "what?", 422));
    await expect(scorer.score(pairs)).rejects.toThrow(/understands none of the ways.*as cohere.*as tei.*as search-r1/);
    // As they are, then with the smallest pair alone.
    expect(bodies).toHaveLength(6);
    const refusing = await scoring((_, response) => send(response, "wrong key tell-nobody", 401), {
      key: "tell-nobody",
    });
    const error: unknown = await refusing.scorer.score(pairs).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SearchError);
    expect((error as SearchError).message).toMatch(/wrong key \[key\].*RERANK_API_KEY/);
    expect(JSON.stringify([error, String(error)])).not.toContain("tell-nobody");
  });

  it("gives the caller's own reason back, and ends what is under way when it is closed", async () => {
    const { scorer } = await scoring(() => undefined);
    const controller = new AbortController();
    const search = scorer.score(pairs, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(search).rejects.toBe(reason);
    const other = scorer.score(pairs);
    await Promise.all([expect(other).rejects.toThrow(/it is closed/), scorer.close()]);
    await expect(scorer.score(pairs)).rejects.toThrow(/it is closed/);
  });

  it.each([
    ["rerank", /not an address/],
    ["ftp://x", /must begin with http/],
    ["http://me:secret@x", /must not hold a password/],
    ["http://x/rerank?api_key=1", /must not hold a key/],
  ])("refuses the address %s", (url, message) => {
    expect(() => new HttpPairScorer({ url })).toThrow(message);
  });

  it("gives up when its time is over, however many tries and requests are left", async () => {
    const pairs = Array.from({ length: 9 }, (_, index): Pair => ({ query: "owls", passage: `owls ${index}` }));
    const { scorer } = await scoring((_, response) => send(response, {}, 503), {
      chunkSize: 1,
      retries: 1_000_000,
      deadlineMs: 50,
      breaker: { failuresInRow: 0, restMs: 0 },
    });
    const scoring9 = scorer.score(pairs);
    await expect(scoring9).rejects.toThrow(/no answer within 50 ms, retries included/);
    await expect(scoring9).rejects.toMatchObject({ name: "SearchError", isRetryable: true });
  });

  it("leaves a service that keeps failing alone, and asks it again after a while", async () => {
    const { scorer, bodies } = await scoring(
      (body, response, request) => (request <= 3 ? send(response, {}, 503) : services.cohere(body, response)),
      { retries: 0, breaker: { failuresInRow: 3, restMs: 200 } },
    );
    const [pair] = pairs;
    for (let call = 0; call < 3; call++) await expect(scorer.score([pair])).rejects.toThrow(/answered 503/);
    const refused = scorer.score([pair]);
    await expect(refused).rejects.toThrow(/left alone for another \d+ ms, since 3 requests in a row have failed.*503/);
    await expect(refused).rejects.toMatchObject({ name: "SearchError", isRetryable: true });
    expect(bodies).toHaveLength(3);
    await new Promise((resolve) => setTimeout(resolve, 210));
    expect(await scorer.score([pair])).toEqual([3]);
    expect(scorer.counts()).toEqual({ requests: 4, retries: 0, failures: 4, breakerOpen: 1, pairsRefused: 0 });
  });

  it("leaves no listener behind on a signal that lives as long as a run", async () => {
    const { scorer } = await scoring(services.cohere);
    const { signal } = new AbortController();
    for (let call = 0; call < 3; call++) await scorer.score([{ query: "owls", passage: "owls" }], { signal });
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("refuses a key that is none", () => {
    expect(() => new HttpPairScorer({ url: "http://x", key: "a b" })).toThrow(
      /RERANK_API_KEY holds spaces, line breaks or other characters/,
    );
  });
});
