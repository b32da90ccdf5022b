/** @file Search services in miniature: each protocol, spoken over a real port about a corpus of ours. */
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import type { SearchEngine } from "../engine.js";
import type { Passage } from "../../types.js";
import type { WebEngineName } from "./providers.js";

/** Where the corpus's passages stand on this web. */
export const addressOf = (id: string): string => `https://passages.example/${encodeURIComponent(id)}`;

export const serviceKey = "a-key";

interface Protocol {
  /** The key that a request shows. */
  key(request: IncomingMessage, url: URL): string | undefined;
  asked(url: URL, body: Record<string, unknown>): { query: string; from: number; count: number };
  answer(results: object[]): object;
  /** Names of a result's address and text. */
  fields: [string, string];
}

const number = (value: unknown, otherwise: number): number =>
  value === null || value === undefined ? otherwise : Number(value);
const header = (name: string) => (request: IncomingMessage) => request.headers[name] as string | undefined;

const protocols: Record<WebEngineName, Protocol> = {
  serper: {
    key: header("x-api-key"),
    asked: (_, { q, num, page }) => ({ query: String(q), from: (number(page, 1) - 1) * 10, count: number(num, 10) }),
    answer: (organic) => ({ searchParameters: {}, organic }),
    fields: ["link", "snippet"],
  },
  serpapi: {
    key: (_, url) => url.searchParams.get("api_key") ?? undefined,
    asked: ({ searchParams }) => ({
      query: searchParams.get("q") ?? "",
      from: number(searchParams.get("start"), 0),
      count: 10,
    }),
    answer: (found) => ({
      search_metadata: { status: "Success" },
      ...(found.length === 0
        ? { error: "Google hasn't returned any results for this query." }
        : { organic_results: found }),
    }),
    fields: ["link", "snippet"],
  },
  google: {
    key: header("x-goog-api-key"),
    asked: ({ searchParams }) => ({
      query: searchParams.get("q") ?? "",
      from: number(searchParams.get("start"), 1) - 1,
      count: number(searchParams.get("num"), 10),
    }),
    answer: (items) => ({ kind: "customsearch#search", ...(items.length === 0 ? {} : { items }) }),
    fields: ["link", "snippet"],
  },
  brave: {
    key: header("x-subscription-token"),
    asked: ({ searchParams }) => {
      const count = number(searchParams.get("count"), 20);
      return { query: searchParams.get("q") ?? "", from: number(searchParams.get("offset"), 0) * count, count };
    },
    answer: (results) => ({ type: "search", ...(results.length === 0 ? {} : { web: { type: "search", results } }) }),
    fields: ["url", "description"],
  },
  tavily: {
    key: (request) => request.headers.authorization?.replace(/^Bearer /, ""),
    asked: (_, { query, max_results: most }) => ({ query: String(query), from: 0, count: number(most, 5) }),
    answer: (results) => ({ results, response_time: 0.1 }),
    fields: ["url", "content"],
  },
  searxng: {
    key: () => serviceKey,
    asked: ({ searchParams }) => ({
      query: searchParams.get("q") ?? "",
      from: (number(searchParams.get("pageno"), 1) - 1) * 10,
      count: 10,
    }),
    answer: (results) => ({ results, answers: [], unresponsive_engines: [] }),
    fields: ["url", "content"],
  },
};

export interface Service {
  url: string;
  close(): Promise<void>;
}

/** Speaks a protocol over an engine, which it closes with itself. */
export async function startService(name: WebEngineName, engine: SearchEngine): Promise<Service> {
  const { key, asked, answer, fields } = protocols[name];
  const answerTo = async (request: IncomingMessage): Promise<[number, object]> => {
    const url = new URL(request.url as string, "http://service");
    const body = JSON.parse((await readText(request)) || "{}") as Record<string, unknown>;
    if (key(request, url) !== serviceKey) return [401, { error: "Invalid API key." }];
    const { query, from, count } = asked(url, body);
    if (query === "") return [400, { error: "the query is empty" }];
    const [hits] = await engine.searchBatch([query], from + count);
    const result = ({ id, title, text }: Passage) => ({ title, [fields[0]]: addressOf(id), [fields[1]]: text });
    return [200, answer(hits.slice(from).map(result))];
  };
  const server = createServer((request, response) => {
    answerTo(request).then(
      ([status, object]) =>
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(object)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/search`,
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await engine.close();
    },
  };
}
