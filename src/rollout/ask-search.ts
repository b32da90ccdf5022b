/** @file One search, with a deadline: whatever goes wrong becomes a recorded error, never an exception. */
import { withDeadline } from "../async.js";
import { checkLists } from "../search/engine.js";
import type { SearchEngine } from "../search/engine.js";
import type { Passage } from "../types.js";

export interface SearchOutcome {
  passages: Passage[];
  waitedMs: number;
  /** Why the search failed; absent when it answered. */
  error?: string;
}

interface AskSearchOptions {
  topK: number;
  timeoutMs: number;
  signal?: AbortSignal;
}

/** The best `topK` passages of a query. An empty query finds nothing and does not bother the engine. */
export async function askSearch(
  engine: SearchEngine,
  query: string,
  options: AskSearchOptions,
): Promise<SearchOutcome> {
  if (query === "") return { passages: [], waitedMs: 0 };
  const { topK, timeoutMs, signal } = options;
  const started = performance.now();
  try {
    const lists = await withDeadline((inner) => engine.searchBatch([query], topK, { signal: inner }), {
      timeoutMs,
      signal,
    });
    const [passages] = checkLists(lists, 1, "the engine");
    const { refused } = passages;
    const error = refused === undefined ? {} : { error: `${engine.name}: ${refused}` };
    return { passages: passages.slice(0, topK), waitedMs: performance.now() - started, ...error };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { passages: [], waitedMs: performance.now() - started, error: `${engine.name}: ${message}` };
  }
}
