/** @file Queries in the form in which texts are kept: `Mu\u0308ller` finds Müller. In front of every engine and reranker; recorded answers keep the caller's own words. */
import { forDistinct } from "../engine.js";
import { normaliseText } from "../text/normalise.js";
import type { Layer } from "./wrap.js";

/** The same engine, asked with normalised queries. */
export function normalised(inner: Layer): Layer {
  return {
    name: inner.name,
    search: (queries, k, options) => {
      const plain = queries.map(normaliseText);
      if (plain.every((query, place) => query === queries[place])) return inner.search(queries, k, options);
      // Two spellings may have become one query, or none.
      return forDistinct(plain, (distinct) => inner.search(distinct, k, options));
    },
    counts: () => inner.counts(),
    close: () => inner.close(),
  };
}
