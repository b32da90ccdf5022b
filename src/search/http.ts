/** @file Any server that speaks Search-R1's `/retrieve`, as a search engine: ours, theirs, or a colleague's. */
import { setTimeout as delay } from "node:timers/promises";
import { UserError } from "../errors.js";
import type { Passage } from "../types.js";
import { SearchError, checkCount, checkSignal } from "./engine.js";
import type { SearchEngine, SearchOptions } from "./engine.js";
import { Retryable, defaultRetry, parseRetryAfter, withRetries } from "./retry.js";
import type { RetrySettings, RetryTools } from "./retry.js";
import { WireError, fromAnswer } from "./wire.js";

export interface HttpSettings extends RetrySettings {
  /** The server, with or without `/retrieve`. */
  url: string;
  /** Longest time for one request, answer included. Milliseconds. */
  timeoutMs: number;
  /** Most queries in one request. */
  chunkSize: number;
  /** Most requests at once. */
  concurrency: number;
  /** Largest answer that is read. Bytes. */
  maxAnswerBytes: number;
  /** Sent with every request, for example an authorization. */
  headers: Record<string, string>;
}

const defaults: Omit<HttpSettings, "url"> = {
  ...defaultRetry,
  timeoutMs: 30_000,
  chunkSize: 256,
  concurrency: 4,
  maxAnswerBytes: 256 * 1024 * 1024,
  headers: {},
};

/** What the engine takes from its surroundings; tests bring their own. */
export interface HttpTools extends RetryTools {
  fetch: typeof fetch;
  /** Milliseconds since 1970. */
  now: () => number;
}

const realTools: HttpTools = {
  fetch: (input, init) => fetch(input, init),
  now: Date.now,
  random: Math.random,
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

const retryableStatuses = new Set([408, 425, 429, 500, 502, 503, 504]);

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

  private ask(queries: readonly string[], k: number, signal: AbortSignal): Promise<Passage[][]> {
    const body = JSON.stringify({ queries, topk: k, return_scores: true });
    return withRetries(() => this.request(body, queries.length, k, signal), this.settings, this.tools, signal);
  }

  private async request(body: string, count: number, k: number, signal: AbortSignal): Promise<Passage[][]> {
    const { timeoutMs, headers } = this.settings;
    const timeout = AbortSignal.timeout(timeoutMs);
    let text: string;
    try {
      const response = await this.tools.fetch(this.url, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json", ...headers },
        body,
        signal: AbortSignal.any([signal, timeout]),
      });
      if (!response.ok) throw await this.statusError(response);
      text = await this.readText(response);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Retryable || error instanceof SearchError) throw error;
      const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : `the request failed: ${reasonOf(error)}`;
      throw new Retryable({ error: this.error(why, true, undefined, error) });
    }
    return this.parse(text, count, k);
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

  private async statusError(response: Response): Promise<Error> {
    const { status } = response;
    const text = await this.readText(response).catch(() => "");
    const isRetryable = retryableStatuses.has(status);
    const error = this.error(
      `the server answered ${status}${text === "" ? "" : `: ${excerpt(text)}`}`,
      isRetryable,
      status,
    );
    if (!isRetryable) return error;
    return new Retryable({
      error,
      retryAfterMs: parseRetryAfter(response.headers.get("retry-after"), this.tools.now()),
    });
  }

  private async readText(response: Response): Promise<string> {
    const { maxAnswerBytes } = this.settings;
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
      if (bytes > maxAnswerBytes)
        throw this.error(`the answer is larger than ${maxAnswerBytes} bytes`, false, response.status);
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString("utf8");
  }

  private error(why: string, isRetryable: boolean, status?: number, cause?: unknown): SearchError {
    return new SearchError(`Search server ${this.url}: ${why}.`, {
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

/** fetch hides the reason ("connection refused") in a cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message || (cause as NodeJS.ErrnoException).code || error.message;
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return JSON.stringify(line.length > 200 ? `${line.slice(0, 200)}…` : line);
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size));
  return chunks;
}
