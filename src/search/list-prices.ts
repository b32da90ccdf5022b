/** @file What a request to a paid search service costs by its list. */
import type { EngineName } from "./engine-names.js";

/** When the prices below were read. They change: `search.pricePerThousand` is the word of who pays. */
export const pricesReadIn = "2026-06";

/**
 * US dollars per thousand requests, of the smallest paid plan; larger ones are cheaper, and free quotas are not counted. Tavily: one credit, a
 * basic search. Google's API is closed to new customers and ends on 2027-01-01. Engines that are not listed cost nothing.
 */
export const listPrices: { readonly [Name in EngineName]?: number } = {
  serper: 1,
  serpapi: 25,
  google: 5,
  brave: 5,
  tavily: 8,
};
