/**
 * @file What engines that ask a server have in common: distinct queries in chunks, a few requests at a time, a deadline for the whole,
 * a circuit breaker, counts, and failures in words. What is asked and how the answer is read is the engine's.
 */
import { UserError } from "../../errors.js";
import { CircuitBreaker, defaultBreaker } from "../../http/breaker.js";
import type { BreakerSettings } from "../../http/breaker.js";
import { credentialIn } from "../../http/credentials.js";
import { excerpt, getJson, postJson, realTools } from "../../http/post.js";
import type { HttpTools, PostSettings } from "../../http/post.js";
import { defaultRetry, HttpError, withRetries } from "../../http/retry.js";
import type { Passage } from "../../types.js";
import { SearchError, checkSignal } from "../engine.js";
import { withDeadline } from "./deadline.js";

export interface RemoteSettings extends PostSettings {
  /** Most queries in one request. */
  chunkSize: number;
  /** Most requests of one search at once. */
  concurrency: number;
  /** Longest time for one search, all chunks and further tries included. Milliseconds. */
  deadlineMs: number;
  /** When the server is left alone, and for how long. */
  breaker: BreakerSettings;
}

export const defaultRemote: RemoteSettings = {
  ...defaultRetry,
  timeoutMs: 30_000,
  deadlineMs: 120_000,
  chunkSize: 256,
  concurrency: 4,
  maxAnswerBytes: 256 * 1024 * 1024,
  headers: {},
  breaker: defaultBreaker,
};

/** What an engine is, for messages: `name` "opensearch", `title` "OpenSearch server". */
export interface RemoteNames {
  name: string;
  title: string;
  /** Shown in errors; holds no credentials. */
  url: string;
}

/** An answer that is not what the server's interface promises; the message continues "… : ". */
export class BadAnswer extends Error {}

export class RemoteServer {
  readonly names: RemoteNames;
  readonly settings: RemoteSettings;
  readonly #tools: HttpTools;
  readonly #breaker: CircuitBreaker;
  readonly #closed = new AbortController();
  readonly #requests = { requests: 0, retries: 0, failures: 0 };
  readonly #secrets: readonly string[];
  #duplicates = 0;

  /** @param secrets what no message may show: servers quote what they are sent */
  constructor(
    names: RemoteNames,
    settings: RemoteSettings,
    tools: Partial<HttpTools> = {},
    secrets: readonly string[] = [],
  ) {
    this.names = names;
    this.settings = settings;
    this.#tools = { ...realTools, ...tools };
    this.#breaker = new CircuitBreaker(settings.breaker);
    this.#secrets = secrets.filter((secret) => secret !== "");
  }

  /** Adding up: requests with further tries, further tries alone, calls given up, openings of the breaker, passages sent twice. */
  counts(): Readonly<Record<string, number>> {
    return { ...this.#requests, breakerOpen: this.#breaker.opened, duplicates: this.#duplicates };
  }

  /**
   * The passages of each query: `ask` gets the distinct ones in chunks and answers with one list each. Lists lose passages whose id they hold
   * already and what is beyond `k`.
   * @throws SearchError; the caller's reason
   */
  async searchBatch(
    queries: readonly string[],
    k: number,
    signal: AbortSignal | undefined,
    ask: (chunk: readonly string[], signal: AbortSignal) => Promise<Passage[][]>,
  ): Promise<Passage[][]> {
    checkSignal(signal);
    if (queries.length === 0 && !this.#closed.signal.aborted) return [];
    const distinct = [...new Set(queries)];
    const answers = new Map<string, Passage[]>();
    await this.whole(signal, async (whole) => {
      const chunks = chunksOf(distinct, this.settings.chunkSize);
      const work = async (): Promise<void> => {
        for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
          const lists = await ask(chunk, whole);
          for (const [index, query] of chunk.entries()) answers.set(query, this.#withoutRepeats(lists[index], k));
        }
      };
      await Promise.all(Array.from({ length: Math.min(this.settings.concurrency, chunks.length) }, work));
    });
    return queries.map((query) => (answers.get(query) as Passage[]).map((passage) => ({ ...passage })));
  }

  /**
   * Runs a task of several requests: its signal aborts when the caller gives up, the engine is closed, time is up or the task has failed.
   * @throws SearchError when it was closed or time is up; the caller's reason; what the task throws
   */
  whole<T>(signal: AbortSignal | undefined, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { deadlineMs } = this.settings;
    const late = (): SearchError =>
      this.error(`no answer within ${deadlineMs} ms, further tries included`, { isRetryable: true });
    return withDeadline([this.#closed.signal, signal], deadlineMs, late, task);
  }

  /**
   * Asks and reads JSON; without a body with GET, with one with POST unless said otherwise. What is asked must bear being asked twice.
   * @throws SearchError
   */
  async json(url: string, body: string | undefined, signal: AbortSignal, method?: "PUT"): Promise<unknown> {
    const options = { signal, method, breaker: this.#breaker, counts: this.#requests };
    let text: string;
    try {
      text = await (body === undefined
        ? getJson(url, this.settings, this.#tools, options)
        : postJson(url, body, this.settings, this.#tools, options));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const { why, isRetryable, status, tries } = error;
      // With secrets, without the cause: it may quote them.
      const cause = this.#secrets.length === 0 ? error : undefined;
      throw this.error(tries === 1 ? why : `${why} (tried ${tries} times)`, { isRetryable, status, cause });
    }
    return this.#parse(text);
  }

  /**
   * Runs an attempt that throws `Retryable` for what an answer says inside of a 200, with waits in between as for requests.
   * @throws SearchError
   */
  async again<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    try {
      return await withRetries(attempt, this.settings, this.#tools, signal);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const { why, isRetryable, status, tries } = error;
      throw this.error(tries === 1 ? why : `${why} (tried ${tries} times)`, { isRetryable, status });
    }
  }

  /** Reads an answer by `read`, whose `BadAnswer` becomes a SearchError. */
  read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof BadAnswer)) throw error;
      throw this.error(error.message, { isRetryable: false, status: 200 });
    }
  }

  error(why: string, details: { isRetryable: boolean; status?: number; cause?: unknown }): SearchError {
    const { name, title, url } = this.names;
    const shown = this.#secrets.reduce((text, secret) => text.replaceAll(secret, "[key]"), why);
    return new SearchError(`${title} ${url}: ${shown}.`, { engine: name, url, ...details });
  }

  /** Ends requests under way; they fail with a SearchError. */
  close(): void {
    this.#closed.abort(this.error("the engine is closed", { isRetryable: false }));
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      const number = /(?<=[:[,]\s*)(NaN|-?Infinity)\b/.exec(text)?.[0];
      const why =
        number === undefined
          ? `the answer is not JSON: ${excerpt(text, this.#secrets)}`
          : `the answer is not JSON: it holds ${number}, which Python writes and JSON does not know. A score there is not a finite number; look at the server's vectors`;
      throw this.error(why, { isRetryable: false, status: 200, cause: this.#secrets.length === 0 ? cause : undefined });
    }
  }

  #withoutRepeats(list: readonly Passage[], k: number): Passage[] {
    const seen = new Set<string>();
    const kept = list.filter(({ id }) => {
      if (id === "") return true;
      if (seen.has(id)) return false;
      seen.add(id);
      return true;
    });
    this.#duplicates += list.length - kept.length;
    return kept.slice(0, k);
  }
}

/**
 * The address of a server, without a slash at its end.
 * @throws UserError for what is no http(s) address, and for one with credentials in it: errors show the address
 */
export function serverUrl(url: string, example: string, whereCredentialsGo: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new UserError(`"${url}" is not an address. Write it like ${example}.`, { cause });
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
    throw new UserError(`"${url}" must begin with http:// or https://, like ${example}.`);
  const credential = credentialIn(parsed);
  if (credential !== undefined)
    throw new UserError(`The search server's address must not hold ${credential}. Put it into ${whereCredentialsGo}.`);
  return parsed;
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < items.length; start += size) chunks.push(items.slice(start, start + size));
  return chunks;
}
