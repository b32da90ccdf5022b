/**
 * @file A real SearXNG, where there is one: start it (docs.searxng.org) with "json" among `search.formats` and `limiter: false`, and set
 * SLEUTH_SEARXNG_URL=http://127.0.0.1:8080. Engines behind it that need the internet may be replaced by its own `json_engine` over a local server.
 */
import { describe, expect, it } from "vitest";
import { openEngine } from "../open.js";

const url = process.env.SLEUTH_SEARXNG_URL ?? "";

describe.skipIf(url === "")(`a real SearXNG (skipped unless SLEUTH_SEARXNG_URL names one)`, () => {
  it("answers with k passages, further pages included, and stays itself whatever it is told", async () => {
    const engine = await openEngine({ engine: "searxng", url });
    try {
      // The last ones are a redirect to another service, one to the first result, a language and a time-out to SearXNG.
      const queries = [
        "capital of Peru",
        "!!g owl",
        "!! owl",
        ":de owl",
        "<1 owl",
        "' \" \\ OR 1=1",
        "a".repeat(5_000),
      ];
      const results = await engine.searchBatch(queries, 12);
      for (const list of results.slice(0, 5)) {
        expect(list).toHaveLength(12);
        expect(new Set(list.map(({ id }) => id)).size).toBe(12);
        for (const { id, title, score } of list) {
          expect(id).toMatch(/^https?:\/\//);
          expect(title).not.toBe("");
          expect(score).toBeGreaterThan(0);
        }
      }
      expect(await engine.searchBatch(["capital of Peru"], 3)).toEqual([results[0].slice(0, 3)]);
    } finally {
      await engine.close();
    }
  });
});
