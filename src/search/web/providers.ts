/**
 * @file The search services, one entry each: where they answer, how a request is written and an answer read. Written after the providers'
 * documentation as it stood in autumn 2026; answers of each are in `testdata/`. The rows of
 * these engines in `../registry.ts` are made from it.
 */
import { ServiceFailure } from "../../http/request.js";
import type { QueryLimits } from "./clean.js";

/** What is asked: one page of results. */
interface WebQuery {
  query: string;
  /** Passages wanted in all. */
  k: number;
  /** From 0. */
  page: number;
}

interface WebRequest {
  /** Added to the endpoint's. */
  parameters?: Record<string, string>;
  headers?: Record<string, string>;
  /** Sent as JSON with POST; without it, the request is a GET. */
  body?: unknown;
}

/** A result as the service wrote it. */
export interface WebResult {
  title: string;
  url: string;
  snippet: string;
}

export interface WebProvider {
  /** Absent where the user names the server. */
  endpoint?: string;
  /** Variables of the environment that hold what a request needs, in the order of `request`'s keys. */
  keys: readonly string[];
  /** Where a key is to be had. */
  keysFrom: string;
  limits: QueryLimits;
  /**
   * US dollars per thousand requests, of the smallest paid plan, read between May and October 2026 (docs/search/web.md has the months). Prices
   * change: `search.pricePerThousand` is what the user pays. Larger plans are cheaper, and free quotas are not counted. Absent: it costs nothing.
   */
  pricePerThousand?: number;
  /** Pages that can be had. */
  maxPages: number;
  request(asked: WebQuery, keys: readonly string[]): WebRequest;
  /**
   * Results of one page, best first; none where the service found nothing.
   * @throws ServiceFailure for an answer that is JSON, yet not what the service documents
   */
  results(answer: Json, asked: WebQuery): WebResult[];
}

type Json = Record<string, unknown>;

/** Where the services document no limit, a bound of ours: addresses much longer than that are cut off by servers on the way. */
const unlimited: QueryLimits = { maxCharacters: 1_500 };

const providers = {
  // serper.dev: its playground is its documentation. `num` is 10 for web search; further results are further pages.
  serper: {
    endpoint: "https://google.serper.dev/search",
    keys: ["SERPER_API_KEY"],
    keysFrom: "https://serper.dev/api-keys",
    limits: unlimited,
    pricePerThousand: 1,
    maxPages: 10,
    request: ({ query, page }, [key]) => ({
      headers: { "X-API-KEY": key },
      body: { q: query, num: 10, ...(page === 0 ? {} : { page: page + 1 }) },
    }),
    results: (answer, { page }) => [
      ...(page === 0
        ? [
            ...box(answer.answerBox, ["answer", "snippet"], ["link"]),
            ...box(answer.knowledgeGraph, ["description"], ["descriptionLink", "website"]),
          ]
        : []),
      ...list(answer, "organic").map((item) => result(item, "link", "snippet")),
    ],
  },
  // serpapi.com/search-api: the key goes into the address, there is no other place for it.
  serpapi: {
    endpoint: "https://serpapi.com/search.json",
    keys: ["SERPAPI_API_KEY"],
    keysFrom: "https://serpapi.com/manage-api-key",
    limits: unlimited,
    pricePerThousand: 25,
    maxPages: 10,
    request: ({ query, page }, [key]) => ({
      parameters: { engine: "google", q: query, ...(page === 0 ? {} : { start: String(page * 10) }), api_key: key },
    }),
    results: (answer, { page }) => {
      const { status } = object(answer.search_metadata);
      // "Google hasn't returned any results for this query." comes with the status Success.
      if (answer.error !== undefined && status !== "Success") throw itFailed(`it failed: ${String(answer.error)}`);
      return [
        ...(page === 0 ? box(answer.answer_box, ["answer", "snippet"], ["link"]) : []),
        ...list(answer, "organic_results").map((item) => result(item, "link", "snippet")),
      ];
    },
  },
  // developers.google.com/custom-search/v1: 10 results a request and 100 in all.
  google: {
    endpoint: "https://customsearch.googleapis.com/customsearch/v1",
    keys: ["GOOGLE_API_KEY", "GOOGLE_CSE_ID"],
    keysFrom:
      "https://developers.google.com/custom-search/v1/introduction (closed to new customers, ends on 2027-01-01)",
    limits: unlimited,
    pricePerThousand: 5,
    maxPages: 10,
    request: ({ query, page }, [key, engine]) => ({
      headers: { "X-Goog-Api-Key": key },
      parameters: { cx: engine, q: query, num: "10", ...(page === 0 ? {} : { start: String(page * 10 + 1) }) },
    }),
    results: (answer) => list(answer, "items").map((item) => result(item, "link", "snippet")),
  },
  // api-dashboard.search.brave.com: offset counts pages, up to 9; pages may overlap.
  brave: {
    endpoint: "https://api.search.brave.com/res/v1/web/search",
    keys: ["BRAVE_API_KEY"],
    keysFrom: "https://api-dashboard.search.brave.com",
    limits: { maxCharacters: 400, maxWords: 50 },
    pricePerThousand: 5,
    maxPages: 10,
    request: ({ query, page }, [key]) => ({
      headers: { "X-Subscription-Token": key },
      parameters: { q: query, count: "20", ...(page === 0 ? {} : { offset: String(page) }) },
    }),
    results: (answer) => list(object(answer.web), "results").map((item) => result(item, "url", "description")),
  },
  // docs.tavily.com: one request brings up to 20 results, and there are no pages. A basic search costs one credit.
  tavily: {
    endpoint: "https://api.tavily.com/search",
    keys: ["TAVILY_API_KEY"],
    keysFrom: "https://app.tavily.com",
    limits: { maxCharacters: 400 },
    // One credit, a basic search.
    pricePerThousand: 8,
    maxPages: 1,
    request: ({ query, k }, [key]) => ({
      headers: { authorization: `Bearer ${key}` },
      body: { query, max_results: k <= 10 ? 10 : 20, search_depth: "basic" },
    }),
    results: (answer) => list(answer, "results").map((item) => result(item, "url", "content")),
  },
  // docs.searxng.org/dev/search_api.html: how many results a page has is up to the engines behind it.
  searxng: {
    keys: [],
    keysFrom: "",
    // !engine, !!redirect, !! alone (the first result at once), :language and <timeout; a redirect leads away from the server.
    limits: { ...unlimited, commands: /(?<!\S)(?:[!:]+<?|<(?=\d))/g },
    maxPages: 10,
    request: ({ query, page }) => ({
      parameters: { q: query, format: "json", ...(page === 0 ? {} : { pageno: String(page + 1) }) },
    }),
    results: (answer, { page }) => {
      const results = list(answer, "results").map((item) => result(item, "url", "content"));
      const silent = Array.isArray(answer.unresponsive_engines) ? answer.unresponsive_engines : [];
      if (page === 0 && results.length === 0 && silent.length > 0)
        throw itFailed(`none of its engines answered: ${silent.map(String).join("; ")}`);
      return results;
    },
  },
} satisfies Record<string, WebProvider>;

export type WebEngineName = keyof typeof providers;

export const webProviders: Readonly<Record<WebEngineName, WebProvider>> = providers;

/**
 * What stands in a box above the results becomes the first result where it names a page; a box without one (a sum, the weather) has no source
 * that could be shown or checked, and is left out.
 */
function box(found: unknown, texts: readonly string[], urls: readonly string[]): WebResult[] {
  const fields = object(found);
  const snippet = texts.map((name) => text(fields[name])).filter((part) => part !== "");
  const url = urls.map((name) => text(fields[name])).find((part) => part !== "");
  if (snippet.length === 0 || url === undefined) return [];
  return [{ title: text(fields.title), url, snippet: snippet.join(" — ") }];
}

/** The service itself failed, and may do better later. */
function itFailed(why: string): ServiceFailure {
  return new ServiceFailure(why, { isRetryable: true, status: 200 });
}

function result(item: unknown, url: string, snippet: string): WebResult {
  const fields = object(item);
  return { title: text(fields.title), url: text(fields[url]), snippet: text(fields[snippet]) };
}

/** Absent means that nothing was found. */
function list(answer: Json, name: string): unknown[] {
  const found = answer[name];
  if (found === undefined || found === null) return [];
  if (!Array.isArray(found)) throw new ServiceFailure(`"${name}" must be a list`);
  return found;
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
