/** @file Oracle passages: what would be answered if search always found what holds the answer. Bounds from above, for reading alone. */
import type { Method } from "./method.js";
import { rag } from "./rag.js";

/** For models that need not ask. */
export const oracle: Method = {
  ...rag,
  title: "oracle passages",
  help: "RAG whose passages hold an answer: a bound from above for reading",
  source: "Sleuth",
  oracle: true,
};

/** For models that learned to ask: whatever they ask. */
export const oracleSearch: Method = {
  title: "oracle search",
  help: "as search-r1, but every search finds passages that hold an answer: a bound from above for reading in the model's own protocol",
  source: "Sleuth",
  searches: true,
  protocol: (own) => own,
  oracle: true,
};
