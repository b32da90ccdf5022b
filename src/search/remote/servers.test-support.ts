/**
 * @file Servers for tests, on real ports: Search-R1's `/retrieve`, OpenSearch and Qdrant, as far as our engines ask them. The shapes of
 * OpenSearch's answers were recorded from OpenSearch 2.19.3, those of Qdrant's are its published interface (1.15).
 */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Passage, StoredPassage } from "../../types.js";
import { Bm25Engine } from "../bm25/engine.js";
import type { Bm25Settings } from "../bm25/settings.js";
import { formatContents } from "../text/contents.js";
import type { Encoder } from "../dense/encoder.js";
import type { SearchEngine } from "../engine.js";
import { HttpEngine } from "./http.js";
import { toAnswer } from "../serving/wire.js";
import { OpenSearchEngine } from "./opensearch.js";
import { QdrantEngine } from "./qdrant.js";
import type { RemoteSettings } from "./remote-server.js";

export interface Asked {
  method: string;
  /** Without the query behind a question mark. */
  path: string;
  body: string;
  headers: IncomingMessage["headers"];
}

export interface Answer {
  status: number;
  body: unknown;
  /** Of passages, as opposed to questions about the server and its collections. */
  isSearch?: boolean;
}

export type Respond = (asked: Asked, response: ServerResponse) => void | Promise<void>;

export interface TestServer {
  url: string;
  connections: () => number;
  close: () => Promise<void>;
}

/** A server on a free port of this machine. */
export async function listening(respond: Respond): Promise<TestServer> {
  let connections = 0;
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const path = (request.url ?? "").replace(/\?.*$/, "");
      const body = Buffer.concat(pieces).toString("utf8");
      void respond({ method: request.method ?? "", path, body, headers: request.headers }, response);
    });
  });
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections, close };
}

export function sendJson(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

/** One of the interfaces: a server that speaks it, and our engine that asks it. */
export interface RemoteProtocol {
  name: string;
  server: (passages: readonly StoredPassage[], ranking?: Partial<Bm25Settings>) => (asked: Asked) => Promise<Answer>;
  open: (url: string, settings?: Partial<RemoteSettings>) => Promise<SearchEngine>;
}

/** An engine over a server of its own, which ends with it. */
export async function openOver(
  protocol: RemoteProtocol,
  passages: readonly StoredPassage[],
  ranking?: Partial<Bm25Settings>,
): Promise<SearchEngine> {
  const answer = protocol.server(passages, ranking);
  const server = await listening(async (asked, response) => sendJson(response, await answer(asked)));
  const engine = await protocol.open(server.url, { chunkSize: 2 });
  const close = engine.close.bind(engine);
  engine.close = async () => {
    await close();
    await server.close();
  };
  return engine;
}

const retrieve: RemoteProtocol = {
  name: "http",
  server: (passages, ranking) => {
    const engine = Bm25Engine.fromPassages(passages, ranking);
    return async ({ body }) => {
      const {
        queries,
        topk,
        return_scores: withScores,
      } = JSON.parse(body) as {
        queries: string[];
        topk: number;
        return_scores: boolean;
      };
      return { status: 200, body: toAnswer(await engine.searchBatch(queries, topk), withScores), isSearch: true };
    };
  },
  open: async (url, settings) => new HttpEngine({ url, ...settings }),
};

const openSearch: RemoteProtocol = {
  name: "opensearch",
  server: (passages, ranking) => {
    const engine = Bm25Engine.fromPassages(passages, ranking);
    const missing = {
      error: { root_cause: [{ type: "index_not_found_exception", reason: "no such index" }], reason: "no such index" },
      status: 404,
    };
    return async ({ path, body }) => {
      if (path === "/_cat/indices") return { status: 200, body: [{ index: "wiki" }, { index: ".security" }] };
      if (!path.startsWith("/wiki/")) return { status: 404, body: missing };
      const text = { type: "text", analyzer: "english" };
      if (path === "/wiki/_mapping")
        return {
          status: 200,
          body: { wiki: { mappings: { properties: { contents: text, year: { type: "integer" } } } } },
        };
      const lines = body.trimEnd().split("\n");
      const searches = lines.filter((_, line) => line % 2 === 1).map((line) => JSON.parse(line) as OpenSearchQuery);
      const lists = await Promise.all(
        searches.map(({ query, size }) => engine.searchBatch([query.multi_match.query], size)),
      );
      return { status: 200, body: { took: 1, responses: lists.map(([list]) => openSearchItem(list)) }, isSearch: true };
    };
  },
  open: (url, settings) => OpenSearchEngine.open({ url, collection: "wiki", ...settings }),
};

interface OpenSearchQuery {
  size: number;
  query: { multi_match: { query: string } };
}

function openSearchItem(list: readonly Passage[]): object {
  const hits = list.map((passage) => ({
    _index: "wiki",
    _id: passage.id,
    _score: passage.score,
    _source: { contents: formatContents(passage), url: passage.url, section: passage.section },
  }));
  return {
    took: 1,
    timed_out: false,
    _shards: { total: 1, successful: 1, skipped: 0, failed: 0 },
    hits: { max_score: list[0]?.score ?? null, hits },
    status: 200,
  };
}

const dimensions = 32;

/** Words at places of a vector: enough to tell passages apart. */
export const wordEncoder = (): Encoder => ({
  name: "words by their letters",
  dimensions,
  encode: async (texts) => {
    const vectors = new Float32Array(texts.length * dimensions);
    for (const [row, text] of texts.entries()) vectors.set(vectorOf(text), row * dimensions);
    return vectors;
  },
  counts: () => ({}),
  close: async () => undefined,
});

function vectorOf(text: string): Float32Array {
  const vector = new Float32Array(dimensions);
  for (const word of text.toLowerCase().match(/\w+/g) ?? []) {
    let place = 0;
    for (const letter of word) place = (place * 31 + letter.charCodeAt(0)) % dimensions;
    vector[place]++;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

interface QdrantSearch {
  query?: number[];
  using?: string;
  vector?: number[] | { name: string; vector: number[] };
  limit: number;
  with_payload: string[];
}

/** @param version decides which route the server knows */
export function qdrantServer(
  passages: readonly StoredPassage[],
  version: string,
  vectors: object = { size: dimensions, distance: "Cosine" },
): (asked: Asked) => Promise<Answer> {
  const rows = passages.map((passage) => ({ passage, vector: vectorOf(`${passage.title} ${passage.text}`) }));
  const isOld = version < "1.10";
  const missing = { status: { error: "Not found: Collection `other` doesn't exist!" }, time: 0.00001 };
  const pointsFor = ({ query, vector, limit, with_payload: fields }: QdrantSearch): object[] => {
    const asked = query ?? (Array.isArray(vector) ? vector : vector?.vector) ?? [];
    const scored = rows.map((row, id) => ({ id, score: row.vector.reduce((sum, x, i) => sum + x * asked[i], 0) }));
    return scored
      .sort((a, b) => b.score - a.score || a.id - b.id)
      .slice(0, limit)
      .map((point) => ({ ...point, version: 1, payload: pick({ ...rows[point.id].passage }, fields) }));
  };
  return async ({ path, body }) => {
    const ok = (result: unknown): Answer => ({ status: 200, body: { result, status: "ok", time: 0.001 } });
    if (path === "/") return { status: 200, body: { title: "qdrant - vector search engine", version } };
    if (path === "/collections") return ok({ collections: [{ name: "wiki" }] });
    if (path === "/collections/wiki")
      return ok({ status: "green", config: { params: { vectors } }, payload_schema: {} });
    if (path === "/collections/wiki/points/scroll")
      return ok({ points: passages.slice(0, 1).map((payload, id) => ({ id, payload })), next_page_offset: null });
    if (path !== `/collections/wiki/points/${isOld ? "search" : "query"}/batch`) return { status: 404, body: missing };
    const lists = (JSON.parse(body) as { searches: QdrantSearch[] }).searches.map(pointsFor);
    return { ...ok(isOld ? lists : lists.map((points) => ({ points }))), isSearch: true };
  };
}

function pick(record: Record<string, unknown>, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(record).filter(([name]) => names.includes(name)));
}

const qdrant: RemoteProtocol = {
  name: "qdrant",
  server: (passages) => qdrantServer(passages, "1.15.1"),
  open: (url, settings) => QdrantEngine.open({ url, collection: "wiki", ...settings }, wordEncoder()),
};

export const remoteProtocols = { retrieve, openSearch, qdrant };
