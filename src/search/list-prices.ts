/** @file What a request to a paid search service costs by its list. */
import type { EngineName } from "./registry.js";

/**
 * US dollars per thousand requests, of the smallest paid plan, read between May and October 2026 (docs/search/web.md has the months). They change:
 * `search.pricePerThousand` is the word of who pays. Larger plans are cheaper, and free quotas are not counted. Tavily: one credit, a basic search.
 * Google's API is closed to new customers and ends on 2027-01-01. Engines that are not listed cost nothing.
 */
export const listPrices: { readonly [Name in EngineName]?: number } = {
  serper: 1,
  serpapi: 25,
  google: 5,
  brave: 5,
  tavily: 8,
};
