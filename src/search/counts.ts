/** @file Adding up what several parts have counted. */
import type { SearchEngine } from "./engine.js";

export type Counts = Readonly<Record<string, number>>;

/** Sums by name. */
export function addCounts(...all: readonly (Counts | undefined)[]): Counts {
  const sums: Record<string, number> = {};
  for (const counts of all) {
    for (const [name, value] of Object.entries(counts ?? {})) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}

/** The engine, with what somebody else has counted of it. */
export function withCounts(engine: SearchEngine, more: () => Counts): SearchEngine {
  return {
    name: engine.name,
    searchBatch: (queries, k, options) => engine.searchBatch(queries, k, options),
    counts: () => addCounts(engine.counts?.(), more()),
    close: () => engine.close(),
  };
}
