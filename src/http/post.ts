/** @file One way to ask a server with JSON: deadlines, retries and bounds on answers, for search engines and judges alike. */
import { setTimeout as delay } from "node:timers/promises";
import type { CircuitBreaker } from "./breaker.js";
import { HttpError, parseRetryAfter, Retryable, withRetries, type RetrySettings, type RetryTools } from "./retry.js";

export interface PostSettings extends RetrySettings {
  /** Longest time for one request, answer included. Milliseconds. */
  timeoutMs: number;
  /** Largest answer that is read. Bytes. */
  maxAnswerBytes: number;
  /** Sent with every request, for example an authorization. */
  headers: Record<string, string>;
}

/** What a client takes from its surroundings; tests bring their own. */
export interface HttpTools extends RetryTools {
  fetch: typeof fetch;
  /** Milliseconds since 1970. */
  now: () => number;
  /**
   * Waited for before each request, further tries included, and outside of its time: where a budget counts and a rate is kept. What it
   * throws ends the call.
   */
  beforeRequest?: (signal: AbortSignal) => Promise<void>;
}

export const realTools: HttpTools = {
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

export interface PostOptions {
  signal: AbortSignal;
  /** Waited for before each try, outside of its time. */
  beforeTry?: (signal: AbortSignal) => Promise<void>;
  /** The server's; with it, a server that keeps failing is left alone for a while. */
  breaker?: CircuitBreaker;
  /** Of a request with a body. Default POST. */
  method?: "POST" | "PUT";
  /** Added to. */
  counts?: RequestCounts;
}

/** What was asked of servers, adding up. */
export interface RequestCounts {
  /** Further tries included. */
  requests: number;
  /** Further tries alone. */
  retries: number;
  /** Calls that failed for good. */
  failures: number;
}

/**
 * Posts a body and returns the answer's text. Requests that time out, cannot connect, break off, or are answered with 408, 425, 429 or 5xx
 * are tried again.
 * @throws HttpError for a request that failed for good; the signal's reason once it aborts
 */
export function postJson(
  url: string,
  body: string,
  settings: PostSettings,
  tools: HttpTools,
  options: PostOptions,
): Promise<string> {
  return ask(url, body, settings, tools, options);
}

/** The same with GET. */
export function getJson(url: string, settings: PostSettings, tools: HttpTools, options: PostOptions): Promise<string> {
  return ask(url, undefined, settings, tools, options);
}

async function ask(
  url: string,
  body: string | undefined,
  settings: PostSettings,
  tools: HttpTools,
  { signal, beforeTry, breaker, method = "POST", counts = { requests: 0, retries: 0, failures: 0 } }: PostOptions,
): Promise<string> {
  let tries = 0;
  const send = async (): Promise<string> => {
    await beforeTry?.(signal);
    await tools.beforeRequest?.(signal);
    counts.requests++;
    if (tries++ > 0) counts.retries++;
    return request(url, body === undefined ? { method: "GET" } : { method, body }, settings, tools, signal);
  };
  const attempt = breaker === undefined ? send : (): Promise<string> => breaker.run(url, send);
  try {
    return await withRetries(attempt, settings, tools, signal);
  } catch (error) {
    if (error instanceof HttpError) counts.failures++;
    throw error;
  }
}

async function request(
  url: string,
  what: { method: string; body?: string },
  settings: PostSettings,
  tools: HttpTools,
  signal: AbortSignal,
): Promise<string> {
  const { timeoutMs, headers, maxAnswerBytes } = settings;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await followed(tools.fetch, url, {
      ...what,
      headers: {
        ...(what.body === undefined ? {} : { "content-type": "application/json" }),
        accept: "application/json",
        ...headers,
      },
      signal: AbortSignal.any([signal, timeout]),
    });
    if (!response.ok) throw await statusError(response, url, settings, tools.now());
    return await readText(response, url, maxAnswerBytes);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Retryable || error instanceof HttpError) throw error;
    const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : `the request failed: ${reasonOf(error)}`;
    throw new Retryable(new HttpError(why, { url, isRetryable: true, cause: error }));
  }
}

const mostRedirects = 3;

/**
 * Follows redirects that stay at the same server and keep the method, as FastAPI's from `/retrieve/`. Others would carry keys away.
 * @throws HttpError for those
 */
async function followed(fetch: HttpTools["fetch"], url: string, init: RequestInit): Promise<Response> {
  let at = url;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(at, { ...init, redirect: "manual" });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || location === null) return response;
    await response.body?.cancel();
    const next = new URL(location, at);
    const isSame = next.origin === new URL(url).origin;
    if (!isSame || redirects === mostRedirects || (init.method !== "GET" && response.status < 307)) {
      const why = `the server redirects to ${isSame ? next.pathname : next.origin}, where a request is not sent on to: name the address itself`;
      throw new HttpError(why, { url, isRetryable: false, status: response.status });
    }
    at = next.href;
  }
}

async function statusError(response: Response, url: string, settings: PostSettings, nowMs: number): Promise<Error> {
  const { status } = response;
  const { maxAnswerBytes, headers } = settings;
  const text = await readText(response, url, maxAnswerBytes).catch(() => "");
  const isRetryable = retryableStatuses.has(status);
  const why = `the server answered ${status}${text === "" ? "" : `: ${excerpt(text, secretsIn(headers))}`}`;
  const error = new HttpError(why, { url, isRetryable, status });
  return isRetryable ? new Retryable(error, parseRetryAfter(response.headers.get("retry-after"), nowMs)) : error;
}

async function readText(response: Response, url: string, maxAnswerBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > maxAnswerBytes) {
      const why = `the answer is larger than ${maxAnswerBytes} bytes`;
      throw new HttpError(why, { url, isRetryable: false, status: response.status });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** fetch hides the reason ("connection refused") in a cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message || (cause as NodeJS.ErrnoException).code || error.message;
}

/** What is sent to be let in, without its scheme: servers quote it in their refusals. */
function secretsIn(headers: Readonly<Record<string, string>>): string[] {
  const named = Object.entries(headers).filter(([name]) => /authorization|key|token/i.test(name));
  return named.map(([, value]) => value.split(" ").at(-1) as string).filter((value) => value !== "");
}

/** More of an answer is not looked at for its beginning. UTF-16 units. */
const longestLookedAt = 65_536;

/**
 * The beginning of an answer, on one line and quoted, for messages.
 * @param secrets taken out before the text is cut: of one that was cut in two, a part would be shown
 */
export function excerpt(text: string, secrets: readonly string[] = []): string {
  const shown = secrets.reduce((all, secret) => all.replaceAll(secret, "[key]"), text.slice(0, longestLookedAt));
  const line = shown.replace(/\s+/g, " ").trim();
  return JSON.stringify(line.length > 200 ? `${line.slice(0, 200)}…` : line);
}
