/** @file The one interface of every search engine. */
import type { Passage } from "../types.js";

export interface SearchOptions {
  /** Cancels the search; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface SearchEngine {
  /** Name for traces and error messages: "bm25", "http", … */
  readonly name: string;
  /**
   * The best `k` passages of each query, best first, one list per query in the queries' order. A query without hits has an empty list.
   * @throws SearchError when the engine cannot answer.
   */
  searchBatch(queries: readonly string[], k: number, options?: SearchOptions): Promise<Passage[][]>;
  /**
   * What the engine has done since it was opened, by name and all of it adding up ("cacheHits", "requests", "spentUsd", …): becomes metrics
   * of a run and lines of `GET /metrics`. Wrappers give their own numbers with those of the engine inside. Absent: nothing to tell.
   */
  counts?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** A search that failed, with what the caller needs to decide what to do next. */
export class SearchError extends Error {
  readonly engine: string;
  /** Whether the same call may succeed later. */
  readonly isRetryable: boolean;
  /** For HTTP engines. */
  readonly url?: string;
  readonly status?: number;

  constructor(
    message: string,
    details: { engine: string; isRetryable: boolean; url?: string; status?: number; cause?: unknown },
  ) {
    super(message, { cause: details.cause });
    this.name = "SearchError";
    this.engine = details.engine;
    this.isRetryable = details.isRetryable;
    this.url = details.url;
    this.status = details.status;
  }
}

/** @throws RangeError unless `k` is a whole number of at least 1. */
export function checkCount(k: number): void {
  if (!Number.isSafeInteger(k) || k < 1) throw new RangeError(`k must be a whole number of at least 1, got ${k}.`);
}

/** @throws the signal's reason when the caller has given up. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}
