/** @file Searches asked at the same moment go out together, each different query once. */
import type { SearchEngine, SearchOptions } from "../search/engine.js";
import { SearchError } from "../search/engine.js";
import type { Passage } from "../types.js";

interface Caller {
  queries: readonly string[];
  k: number;
  signal?: AbortSignal;
  resolve: (lists: Passage[][]) => void;
  reject: (reason: unknown) => void;
}

/**
 * Wraps an engine: calls of the same macrotask tick become one `searchBatch` with the largest `k` among them, and each
 * caller gets its own queries' lists cut to its own `k`. A caller that aborts is let go at once; the engine's call is
 * aborted when all its callers have left.
 */
export function batchedSearch(engine: SearchEngine): SearchEngine {
  let waiting: Caller[] = [];

  const flush = (): void => {
    const callers = waiting.filter(({ signal }) => !signal?.aborted);
    waiting = [];
    if (callers.length > 0) void askTogether(engine, callers);
  };

  return {
    name: engine.name,
    searchBatch: (queries, k, options: SearchOptions = {}) =>
      new Promise((resolve, reject) => {
        const { signal } = options;
        if (signal?.aborted) return reject(signal.reason);
        if (queries.length === 0) return resolve([]);
        const onAbort = (): void => reject(signal?.reason);
        signal?.addEventListener("abort", onAbort);
        const release = (): void => signal?.removeEventListener("abort", onAbort);
        // Everything asked before the event loop turns again joins this batch.
        if (waiting.length === 0) setImmediate(flush);
        waiting.push({
          queries,
          k,
          signal,
          resolve: (lists) => (release(), resolve(lists)),
          reject: (reason) => (release(), reject(reason)),
        });
      }),
    counts: () => engine.counts?.() ?? {},
    close: () => engine.close(),
  };
}

async function askTogether(engine: SearchEngine, callers: readonly Caller[]): Promise<void> {
  const queries = [...new Set(callers.flatMap((caller) => caller.queries))];
  const k = Math.max(...callers.map((caller) => caller.k));
  const everybodyLeft = whenAllAbort(callers);
  try {
    const lists = await engine.searchBatch(queries, k, { signal: everybodyLeft.signal });
    if (!Array.isArray(lists) || lists.length !== queries.length || !lists.every(Array.isArray)) {
      const got = Array.isArray(lists) ? `${lists.length} results` : typeof lists;
      const message = `answered ${queries.length} queries with ${got} instead of one list of passages each`;
      throw new SearchError(message, { engine: engine.name, isRetryable: false });
    }
    const listOf = new Map(queries.map((query, index) => [query, lists[index]]));
    for (const caller of callers) {
      caller.resolve(caller.queries.map((query) => (listOf.get(query) ?? []).slice(0, caller.k)));
    }
  } catch (error) {
    for (const caller of callers) caller.reject(error);
  } finally {
    everybodyLeft.release();
  }
}

/** A signal that aborts when the last of the callers has; never, if one of them cannot. */
function whenAllAbort(callers: readonly Caller[]): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const check = (): void => {
    if (callers.every(({ signal }) => signal?.aborted)) controller.abort(callers[0].signal?.reason);
  };
  for (const { signal } of callers) signal?.addEventListener("abort", check);
  const release = (): void => callers.forEach(({ signal }) => signal?.removeEventListener("abort", check));
  return { signal: controller.signal, release };
}
