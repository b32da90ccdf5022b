/** @file Requests and answers of each service, after its documentation (`testdata/README.md`): no keys, no network. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ServiceFailure } from "../../http/request.js";
import { cleanText } from "./clean.js";
import { webProviders } from "./providers.js";
import type { WebEngineName, WebProvider } from "./providers.js";

const names = Object.keys(webProviders) as WebEngineName[];
const answerOf = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`testdata/${name}.json`, import.meta.url), "utf8")) as Record<string, unknown>;
const first = { query: "capital of Peru", k: 3, page: 0 };
const keys = ["the-key", "the-engine"];

describe("requests", () => {
  const third = { ...first, k: 50, page: 2 };

  type WebRequest = ReturnType<WebProvider["request"]>;
  it.each<[WebEngineName, WebRequest, WebRequest]>([
    [
      "serper",
      { headers: { "X-API-KEY": "the-key" }, body: { q: "capital of Peru", num: 10 } },
      { headers: { "X-API-KEY": "the-key" }, body: { q: "capital of Peru", num: 10, page: 3 } },
    ],
    [
      "serpapi",
      { parameters: { engine: "google", q: "capital of Peru", api_key: "the-key" } },
      { parameters: { engine: "google", q: "capital of Peru", api_key: "the-key", start: "20" } },
    ],
    [
      "google",
      { headers: { "X-Goog-Api-Key": "the-key" }, parameters: { cx: "the-engine", q: "capital of Peru", num: "10" } },
      {
        headers: { "X-Goog-Api-Key": "the-key" },
        parameters: { cx: "the-engine", q: "capital of Peru", num: "10", start: "21" },
      },
    ],
    [
      "brave",
      { headers: { "X-Subscription-Token": "the-key" }, parameters: { q: "capital of Peru", count: "20" } },
      {
        headers: { "X-Subscription-Token": "the-key" },
        parameters: { q: "capital of Peru", count: "20", offset: "2" },
      },
    ],
    [
      "tavily",
      {
        headers: { authorization: "Bearer the-key" },
        body: { query: "capital of Peru", max_results: 10, search_depth: "basic" },
      },
      {
        headers: { authorization: "Bearer the-key" },
        body: { query: "capital of Peru", max_results: 20, search_depth: "basic" },
      },
    ],
    [
      "searxng",
      { parameters: { q: "capital of Peru", format: "json" } },
      { parameters: { q: "capital of Peru", format: "json", pageno: "3" } },
    ],
  ])("%s", (name, page, laterPage) => {
    expect(webProviders[name].request(first, keys)).toEqual(page);
    expect(webProviders[name].request(third, keys)).toEqual(laterPage);
  });
});

describe("answers", () => {
  it.each(names.map((name) => [name]))("%s", (name) => {
    const results = webProviders[name].results(answerOf(name), first);
    const cleaned = results.map(({ title, url, snippet }) => [cleanText(title), url, cleanText(snippet)]);
    expect(cleaned).toMatchSnapshot();
  });

  it("boxes stand above the first page of results only", () => {
    for (const name of ["serper", "serpapi"] as const) {
      const later = webProviders[name].results(answerOf(name), { ...first, page: 1 });
      expect(later[0].title).toBe("Lima - Wikipedia");
    }
  });

  it("a box without a page is no result", () => {
    const sum = { answerBox: { title: "2 + 2", answer: "4" }, knowledgeGraph: { title: "Four" }, organic: [] };
    expect(webProviders.serper.results(sum, first)).toEqual([]);
    expect(webProviders.serpapi.results({ answer_box: { type: "calculator_result", result: "4" } }, first)).toEqual([]);
  });

  it.each(names.map((name) => [name]))("%s: results that are missing mean that nothing was found", (name) => {
    for (const answer of [{}, { web: null, results: null }, { web: {} }])
      expect(webProviders[name].results(answer, first)).toEqual([]);
  });

  it.each(names.map((name) => [name]))("%s: results that are no list are nonsense", (name) => {
    const wrong = { organic: {}, organic_results: "x", items: 3, web: { results: {} }, results: { url: "x" } };
    expect(() => webProviders[name].results(wrong, first)).toThrow(ServiceFailure);
  });

  it.each(names.map((name) => [name]))("%s: items that are no results are empty ones", (name) => {
    const items = [null, 7, "x", {}, { title: 1, url: [], link: {}, snippet: null, content: 2 }];
    const answer = { organic: items, organic_results: items, items, web: { results: items }, results: items };
    for (const result of webProviders[name].results(answer, first))
      expect(result).toEqual({ title: "", url: "", snippet: "" });
  });

  it("SerpApi's error with status Success means that nothing was found; with another it is a failure that may pass", () => {
    const error = "Google hasn't returned any results for this query.";
    expect(webProviders.serpapi.results({ search_metadata: { status: "Success" }, error }, first)).toEqual([]);
    const failed = (): unknown =>
      webProviders.serpapi.results({ search_metadata: { status: "Error" }, error: "Timed out" }, first);
    expect(failed).toThrow(expect.objectContaining({ message: "it failed: Timed out", isRetryable: true }));
  });

  it("SearXNG finds nothing when its engines answer so, and fails when none of them answers", () => {
    const { results } = webProviders.searxng;
    expect(results({ results: [], unresponsive_engines: [] }, first)).toEqual([]);
    const silent = {
      results: [],
      unresponsive_engines: [
        ["google", "timeout"],
        ["bing", "CAPTCHA"],
      ],
    };
    expect(() => results(silent, first)).toThrow(
      expect.objectContaining({
        message: "none of its engines answered: google,timeout; bing,CAPTCHA",
        isRetryable: true,
      }),
    );
    expect(results(silent, { ...first, page: 1 })).toEqual([]);
  });
});

it("every service that needs a key has a price on the list, and the one that needs none costs nothing", () => {
  for (const name of names)
    expect([name, (webProviders[name].pricePerThousand ?? 0) > 0]).toEqual([name, webProviders[name].keys.length > 0]);
});
