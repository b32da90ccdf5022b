/** @file Search-R1 (arXiv:2503.09516): the policy searches when it wants to. Whatever `protocol`, `context` and `maxSearches` say; the others are compared with it. */
import type { Method } from "./method.js";

export const searchR1Method: Method = {
  title: "Search-R1",
  help: "the turn loop as protocol, context and maxSearches set it",
  source: "arXiv:2503.09516, algorithm 1; departures in rollout.ts",
  searches: true,
  protocol: (own) => own,
};
