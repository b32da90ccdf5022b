/** @file One search, with a deadline: a search that fails becomes a recorded error, never an exception. An engine that breaks its promise is one. */
import { withDeadline } from "../async.js";
import { UserError } from "../errors.js";
import { BrokenEngineError, checkLists } from "../search/engine.js";
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

/**
 * The best `topK` passages of a query. An empty query finds nothing and does not bother the engine.
 * @throws UserError naming an engine whose answer is no list of passages for each query: all further ones would be as useless
 */
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
    const [passages] = checkLists(lists, 1, engine.name);
    const { refused } = passages;
    const error = refused === undefined ? {} : { error: `${engine.name}: ${refused}` };
    return { passages: passages.slice(0, topK), waitedMs: performance.now() - started, ...error };
  } catch (error) {
    if (error instanceof BrokenEngineError) {
      throw new UserError(
        `The search engine ${error.message} Its searchBatch(queries, k) has to resolve to an array with one array of passages ` +
          '({"id", "title", "text", "score"}) for each query, in their order. Mend the engine, then start again.',
        { cause: error },
      );
    }
    const message = error instanceof Error ? error.message : String(error);
    return { passages: [], waitedMs: performance.now() - started, error: `${engine.name}: ${message}` };
  }
}
