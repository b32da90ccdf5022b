/** @file One request to a service: a limit on time and size, redirects that carry no keys away, and failures in words. */
import { sleep, withDeadline } from "../async.js";
import { excerpt } from "./credentials.js";
import { parseRetryAfter, type RetryTools } from "./retry.js";

export interface RequestSettings {
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
   * Awaited before each request, retries included, and outside of its time: where a budget counts and a rate is kept. What it throws ends the
   * call.
   */
  beforeRequest?: (signal: AbortSignal) => Promise<void>;
}

export const realTools: HttpTools = {
  fetch: (input, init) => fetch(input, init),
  now: Date.now,
  random: Math.random,
  sleep,
};

export interface ServiceRequest {
  url: string;
  /** JSON. Without a body, the request is a GET. A function is called for each try. */
  body?: string | (() => string);
  /** Of a request with a body. Default POST. */
  method?: "POST" | "PUT";
  /** Beside those of the settings. */
  headers?: Readonly<Record<string, string>>;
}

export interface FailureDetails {
  /** Whether the same request may succeed later. */
  isRetryable?: boolean;
  /** HTTP status of the answer; undefined where there was none. */
  status?: number;
  /** Set on failures that are retried by the client itself: how long the server wants to be left alone, 0 where it does not say. Milliseconds. */
  retryAfterMs?: number;
  cause?: unknown;
}

/**
 * Why a service did not give what it was asked for; the message is a clause without a full stop. Without details, it is about an answer (200)
 * that cannot be used: readers of answers throw that. `Service` turns failures into its owner's errors.
 */
export class ServiceFailure extends Error {
  readonly isRetryable: boolean;
  readonly status?: number;
  readonly retryAfterMs?: number;

  constructor(why: string, details: FailureDetails = { status: 200 }) {
    super(why, { cause: details.cause });
    this.name = "ServiceFailure";
    this.isRetryable = details.isRetryable ?? false;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}

interface RequestContext {
  settings: RequestSettings;
  tools: HttpTools;
  /** Taken out of what is quoted. */
  secrets: readonly string[];
  /** Whether the words of a failed answer rule a retry out that its status would call for. */
  isFinal?: (status: number, words: string) => boolean;
}

const retryableStatuses = new Set([408, 425, 429, 500, 502, 503, 504]);

/** More of a failed answer is not read. Bytes. */
const longestFailedAnswer = 65_536;

/**
 * Sends a request once and returns the answer's text. Requests that time out, cannot connect, break off, or are answered with 408, 425, 429 or
 * 5xx fail with a `retryAfterMs`.
 * @throws ServiceFailure; the signal's reason once it aborts
 */
export async function send(request: ServiceRequest, context: RequestContext, signal: AbortSignal): Promise<string> {
  const { settings, tools } = context;
  const { timeoutMs } = settings;
  const ask = async (until: AbortSignal): Promise<string> => {
    const response = await followed(tools.fetch, request.url, { ...initOf(request, settings), signal: until });
    if (!response.ok) throw await statusFailure(response, context);
    return wholeText(response, settings.maxAnswerBytes);
  };
  const passing = { isRetryable: true, retryAfterMs: 0 };
  const late = (): ServiceFailure => new ServiceFailure(`no answer within ${timeoutMs} ms`, passing);
  try {
    return await withDeadline(ask, { timeoutMs, signal, late });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ServiceFailure) throw error;
    throw new ServiceFailure(`the request failed: ${reasonOf(error)}`, { ...passing, cause: error });
  }
}

function initOf({ body, method = "POST", headers }: ServiceRequest, settings: RequestSettings): RequestInit {
  const common = { accept: "application/json", ...settings.headers, ...headers };
  if (body === undefined) return { method: "GET", headers: common };
  return {
    method,
    headers: { "content-type": "application/json", ...common },
    body: typeof body === "string" ? body : body(),
  };
}

const mostRedirects = 3;

/**
 * Follows redirects that stay at the same server and keep the method, as FastAPI's from `/retrieve/`. Others would carry keys away.
 * @throws ServiceFailure for those
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
      throw new ServiceFailure(why, { status: response.status });
    }
    at = next.href;
  }
}

async function statusFailure(
  response: Response,
  { tools, secrets, isFinal = () => false }: RequestContext,
): Promise<ServiceFailure> {
  const { status, headers } = response;
  const { text: words } = await readText(response, longestFailedAnswer).catch(() => ({ text: "" }));
  const isRetryable = retryableStatuses.has(status) && !isFinal(status, words);
  const why = `the server answered ${status}${words === "" ? "" : `: ${excerpt(words, secrets)}`}`;
  const retryAfterMs = isRetryable ? (parseRetryAfter(headers.get("retry-after"), tools.now()) ?? 0) : undefined;
  return new ServiceFailure(why, { isRetryable, status, retryAfterMs });
}

async function wholeText(response: Response, maxBytes: number): Promise<string> {
  const { text, isCut } = await readText(response, maxBytes);
  if (isCut) throw new ServiceFailure(`the answer is larger than ${maxBytes} bytes`, { status: response.status });
  return text;
}

/** The first bytes of an answer; the connection of a longer one is ended. */
async function readText(response: Response, maxBytes: number): Promise<{ text: string; isCut: boolean }> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > maxBytes) break;
  }
  return { text: Buffer.concat(pieces, Math.min(bytes, maxBytes)).toString("utf8"), isCut: bytes > maxBytes };
}

/** fetch hides the reason ("connection refused") in a cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message || (cause as NodeJS.ErrnoException).code || error.message;
}
