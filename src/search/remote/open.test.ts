/** @file Remote engines by name: where their keys come from, and how the time of a search is divided. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { SearchError } from "../engine.js";
import { openEngine } from "../open.js";
import type { EngineContext, EngineSettings } from "../settings.js";

/** Records requests and answers what is right for each engine's opening, nothing found for searches. */
function recording(environment: Record<string, string> = {}) {
  const asked: { path: string; headers: Headers }[] = [];
  const answers: Record<string, unknown> = {
    "/wiki/_mapping": { wiki: { mappings: { properties: { text: { type: "text" } } } } },
    "/wiki/_msearch": { responses: [{ hits: { hits: [] } }] },
    "/retrieve": { result: [[]] },
  };
  const context: EngineContext = {
    environment,
    http: {
      fetch: async (input, init) => {
        const path = new URL(input as string).pathname;
        asked.push({ path, headers: new Headers(init?.headers) });
        return path in answers ? Response.json(answers[path]) : new Response("", { status: 404 });
      },
    },
  };
  return { context, asked };
}

describe("remote engines by name", () => {
  it.each<[Partial<EngineSettings>, Record<string, string>, string, string]>([
    [{ engine: "http" }, { SLEUTH_SEARCH_TOKEN: "t" }, "authorization", "Bearer t"],
    [{ engine: "opensearch", collection: "wiki" }, { OPENSEARCH_API_KEY: "k" }, "authorization", "ApiKey k"],
    [
      { engine: "opensearch", collection: "wiki" },
      { OPENSEARCH_USERNAME: "u", OPENSEARCH_PASSWORD: "p" },
      "authorization",
      "Basic dTpw",
    ],
  ])("%j with %j sends %s: %s", async (settings, environment, header, value) => {
    const { context, asked } = recording(environment);
    const engine = await openEngine({ url: "http://search.test", ...settings }, context);
    expect(await engine.searchBatch(["x"], 1)).toEqual([[]]);
    for (const { headers } of asked) expect(headers.get(header)).toBe(value);
    await engine.close();
  });

  it("without keys none are sent", async () => {
    const { context, asked } = recording();
    const engine = await openEngine({ engine: "http", url: "http://search.test" }, context);
    await engine.searchBatch(["x"], 1);
    expect(asked[0].headers.has("authorization")).toBe(false);
    await engine.close();
  });

  it("a search ends after its time, with at least one retry in it", async () => {
    let tries = 0;
    const hanging: EngineContext = {
      environment: {},
      http: {
        fetch: (_, init) => {
          tries++;
          return new Promise((_resolve, reject) =>
            init?.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error)),
          );
        },
        sleep: async () => undefined,
      },
    };
    const engine = await openEngine({ engine: "http", url: "http://search.test", timeoutMs: 200 }, hanging);
    const failure = await engine.searchBatch(["x"], 1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SearchError);
    expect((failure as Error).message).toContain("no answer within 200 ms, retries included");
    expect(tries).toBe(2);
    await engine.close();
  });

  it.each<[Partial<EngineSettings>, RegExp]>([
    [{ engine: "http" }, /search.url is empty/],
    [{ engine: "opensearch", url: "http://search.test", collection: "other" }, /no index "other"/],
    [{ engine: "qdrant", url: "http://search.test", collection: "wiki" }, /search.encoder is empty/],
  ])("%j is a UserError", async (settings, message) => {
    const opening = openEngine(settings, recording().context);
    await expect(opening).rejects.toBeInstanceOf(UserError);
    await expect(opening).rejects.toThrow(message);
  });
});
