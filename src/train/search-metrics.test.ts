import { expect, it } from "vitest";
import { searchMetrics } from "./search-metrics.js";

it("gives differences since the last call, and money as a total", () => {
  let counts: Record<string, number> = { requests: 10, cacheHits: 3, cacheMisses: 1, memberFailures: 0, spentUsd: 0.5 };
  const task = { searchCounts: () => counts };
  expect(searchMetrics(task)).toEqual({
    "search/requests": 10,
    "search/cacheHitRate": 0.75,
    "search/memberFailures": 0,
    "search/spentUsd": 0.5,
  });
  counts = { requests: 12, cacheHits: 3, cacheMisses: 2, memberFailures: 4, spentUsd: 0.6 };
  expect(searchMetrics(task)).toEqual({
    "search/requests": 2,
    "search/cacheHitRate": 0,
    "search/memberFailures": 4,
    "search/spentUsd": 0.6,
  });
  // Another task begins anew.
  expect(searchMetrics({ searchCounts: () => counts })["search/requests"]).toBe(12);
});

it("says nothing where nothing is counted, and no rate where nothing was looked up", () => {
  expect(searchMetrics({})).toEqual({});
  expect(searchMetrics({ searchCounts: () => ({ sharedQueries: 4 }) })).toEqual({});
  const idle = { searchCounts: () => ({ cacheHits: 2, cacheMisses: 2 }) };
  searchMetrics(idle);
  expect(searchMetrics(idle)).toEqual({});
});
