/** @file Any server that speaks Search-R1's `/retrieve`, as a search engine: ours, theirs, or a colleague's. */
import { UserError } from "../errors.js";
import { excerpt, postJson, realTools, type HttpTools, type PostSettings } from "../http/post.js";
import { defaultRetry, HttpError } from "../http/retry.js";
import type { Passage } from "../types.js";
import { SearchError, checkCount, checkSignal } from "./engine.js";
import type { SearchEngine, SearchOptions } from "./engine.js";
import { WireError, fromAnswer } from "./wire.js";

export type { HttpTools } from "../http/post.js";

export interface HttpSettings extends PostSettings {
  /** The server, with or without `/retrieve`. */
  url: string;
  /** Most queries in one request. */
  chunkSize: number;
  /** Most requests at once. */
  concurrency: number;
}

const defaults: Omit<HttpSettings, "url"> = {
  ...defaultRetry,
  timeoutMs: 30_000,
  chunkSize: 256,
  concurrency: 4,
  maxAnswerBytes: 256 * 1024 * 1024,
  headers: {},
};

/**
 * Asks each distinct query once, in chunks. Requests that time out, cannot connect, break off, or are answered with 408,
 * 425, 429 or 5xx are tried again; nonsense and other statuses fail at once. Every failure is a `SearchError`.
 */
export class HttpEngine implements SearchEngine {
  readonly name = "http";
  readonly url: string;
  private readonly settings: HttpSettings;
  private readonly tools: HttpTools;
  private readonly closed = new AbortController();

  /** @throws UserError for an address that is no http(s) URL. */
  constructor(settings: Partial<HttpSettings> & { url: string }, tools: Partial<HttpTools> = {}) {
    this.settings = { ...defaults, ...settings };
    this.tools = { ...realTools, ...tools };
    this.url = retrieveUrl(settings.url);
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    if (this.closed.signal.aborted) throw this.error("the engine is closed", false);
    const distinct = [...new Set(queries)];
    const answers = new Map<string, Passage[]>();
    // One chunk that fails stops the others.
    const failed = new AbortController();
    const signal = AbortSignal.any([failed.signal, this.closed.signal, ...(options.signal ? [options.signal] : [])]);
    const chunks = chunksOf(distinct, this.settings.chunkSize);
    const work = async (): Promise<void> => {
      for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
        const lists = await this.ask(chunk, k, signal);
        for (const [index, query] of chunk.entries()) answers.set(query, lists[index]);
      }
    };
    const workers = Array.from({ length: Math.min(this.settings.concurrency, chunks.length) }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(workers);
      throw error;
    }
    return queries.map((query) => (answers.get(query) as Passage[]).map((passage) => ({ ...passage })));
  }

  /** Ends requests under way; they fail with a `SearchError`. */
  async close(): Promise<void> {
    this.closed.abort(this.error("the engine is closed", false));
  }

  private async ask(queries: readonly string[], k: number, signal: AbortSignal): Promise<Passage[][]> {
    const body = JSON.stringify({ queries, topk: k, return_scores: true });
    let text: string;
    try {
      text = await postJson(this.url, body, this.settings, this.tools, { signal });
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const { why, isRetryable, status, tries } = error;
      throw this.error(why, isRetryable, status, error, tries);
    }
    return this.parse(text, queries.length, k);
  }

  private parse(text: string, count: number, k: number): Passage[][] {
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (cause) {
      throw this.error(`the answer is not JSON: ${excerpt(text)}`, false, 200, cause);
    }
    try {
      return fromAnswer(answer, count, k);
    } catch (error) {
      if (error instanceof WireError)
        throw this.error(`the answer is not what /retrieve promises: ${error.message}`, false, 200, error);
      throw error;
    }
  }

  private error(why: string, isRetryable: boolean, status?: number, cause?: unknown, tries = 1): SearchError {
    return new SearchError(`Search server ${this.url}: ${why}.${tries === 1 ? "" : ` (tried ${tries} times)`}`, {
      engine: this.name,
      isRetryable,
      url: this.url,
      status,
      cause,
    });
  }
}

/** The address with `/retrieve` where no path is given; credentials in it are refused, since errors show the address. */
function retrieveUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new UserError(`"${url}" is not an address. Write it like http://127.0.0.1:8000/retrieve.`, { cause });
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
    throw new UserError(`"${url}" must begin with http:// or https://, like http://127.0.0.1:8000/retrieve.`);
  if (parsed.username !== "" || parsed.password !== "")
    throw new UserError(
      'The search server\'s address must not hold a password. Put it into "headers" as an authorization.',
    );
  if (parsed.pathname === "/") parsed.pathname = "/retrieve";
  return parsed.toString();
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size));
  return chunks;
}
