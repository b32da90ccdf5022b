/**
 * @file The client of one service, used for search servers, web search, `/rerank`, `/v1/embeddings` and judges: retries, a deadline for each
 * call, a circuit breaker, counts, and failures in words that hold no key. What is asked and how an answer is read is the owner's.
 */
import { withDeadline } from "../async.js";
import { CircuitBreaker, defaultBreaker, type BreakerSettings } from "./breaker.js";
import { excerpt, hideSecrets, secretsIn, shownAddress, withoutSecrets } from "./credentials.js";
import {
  realTools,
  send,
  ServiceFailure,
  type FailureDetails,
  type HttpTools,
  type RequestSettings,
  type ServiceRequest,
} from "./request.js";
import { defaultRetry, withRetries, type RetrySettings } from "./retry.js";

export interface ServiceSettings extends RequestSettings, RetrySettings {
  /** Longest time for one call, all its requests and retries included. Milliseconds. */
  deadlineMs: number;
  /** When the service is left alone, and for how long. */
  breaker: BreakerSettings;
}

export const defaultService: ServiceSettings = {
  ...defaultRetry,
  timeoutMs: 30_000,
  deadlineMs: 120_000,
  maxAnswerBytes: 256 * 1024 * 1024,
  headers: {},
  breaker: defaultBreaker,
};

interface ServiceOptions {
  settings: ServiceSettings;
  /** What the service is, for messages: "OpenSearch server". */
  title: string;
  /** Its address, for messages; holds no credentials. */
  url: string;
  /** What no message may show; credentials in the settings' headers count without being named. */
  secrets?: readonly string[];
  /** What the user can do about a failure, in whole sentences; "" where there is nothing to say. */
  advice?: (failure: ServiceFailure) => string;
  /** Makes the errors that callers get. */
  error: (message: string, details: ErrorDetails) => Error;
  /** Whether the words of a failed answer rule a retry out that its status would call for. */
  isFinal?: (status: number, words: string) => boolean;
  /** Called with the pause that an answer asks for, once for each such answer. */
  onRetryAfter?: (ms: number) => void;
}

/** What an owner's error needs to know. */
export interface ErrorDetails {
  url: string;
  isRetryable: boolean;
  status?: number;
  /** Absent where there are secrets: it may quote them. */
  cause?: unknown;
}

export class Service {
  readonly url: string;
  readonly #options: ServiceOptions;
  readonly #tools: HttpTools;
  readonly #secrets: readonly string[];
  readonly #breaker: CircuitBreaker;
  readonly #closed = new AbortController();
  readonly #requests = { requests: 0, retries: 0, failures: 0 };

  constructor(options: ServiceOptions, tools: Partial<HttpTools> = {}) {
    this.url = options.url;
    this.#options = options;
    this.#tools = { ...realTools, ...tools };
    this.#secrets = [...(options.secrets ?? []), ...secretsIn(options.settings.headers)];
    this.#breaker = new CircuitBreaker(options.settings.breaker);
  }

  /** Adding up: requests with retries, retries alone, calls that failed for good, openings of the breaker. */
  counts(): Readonly<Record<string, number>> {
    return { ...this.#requests, breakerOpen: this.#breaker.opened };
  }

  /**
   * Runs a call of one or several requests. Its signal aborts when the caller gives up, the service is closed, time is up, or the call has
   * failed.
   * @throws the owner's error when the service is closed or time is up; the caller's reason; what the call throws
   */
  call<T>(
    signal: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>,
    timeoutMs = this.#options.settings.deadlineMs,
  ): Promise<T> {
    const late = (): Error => this.error(`no answer within ${timeoutMs} ms, retries included`, { isRetryable: true });
    return withDeadline(run, { timeoutMs, signal: [this.#closed.signal, signal], late });
  }

  /**
   * Sends a request, again after failures that may pass, and reads the answer's text, keys taken out. The request must be safe to repeat.
   * @param read throws `ServiceFailure` for an answer that cannot be used
   * @throws the owner's error; the signal's reason once it aborts
   */
  async text<T>(request: ServiceRequest, signal: AbortSignal, read: (text: string) => T): Promise<T> {
    let tries = 0;
    const send = (): Promise<string> => this.#breaker.run(() => this.#send(request, tries++, signal));
    const attempt = async (): Promise<T> => read(withoutSecrets(await send(), this.#secrets));
    const { settings } = this.#options;
    try {
      return await withRetries(attempt, { settings, tools: this.#tools, waitAsked: retryAfterOf, signal });
    } catch (error) {
      if (!(error instanceof ServiceFailure)) throw error;
      this.#requests.failures++;
      throw this.#errorOf(error, tries);
    }
  }

  /** The same for an answer in JSON. */
  json<T>(request: ServiceRequest, signal: AbortSignal, read: (answer: unknown) => T): Promise<T> {
    return this.text(request, signal, (text) => read(this.#parse(text)));
  }

  /** The owner's error, for what its own checks find. */
  error(why: string, details?: FailureDetails): Error {
    return this.#errorOf(new ServiceFailure(why, details), 1);
  }

  /** The beginning of an answer, quoted and without secrets. */
  excerpt(text: string): string {
    return excerpt(text, this.#secrets);
  }

  /** Ends calls under way; they and later ones fail with the owner's error. */
  close(why = "it is closed"): void {
    this.#closed.abort(this.error(why, {}));
  }

  async #send(request: ServiceRequest, triesBefore: number, signal: AbortSignal): Promise<string> {
    await this.#tools.beforeRequest?.(signal);
    this.#requests.requests++;
    if (triesBefore > 0) this.#requests.retries++;
    const { settings, isFinal, onRetryAfter } = this.#options;
    try {
      return await send(request, { settings, tools: this.#tools, secrets: this.#secrets, isFinal }, signal);
    } catch (error) {
      const askedMs = retryAfterOf(error);
      if (askedMs !== undefined && askedMs > 0) onRetryAfter?.(askedMs);
      throw error;
    }
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      const number = /(?<=[:[,]\s*)(NaN|-?Infinity)\b/.exec(text)?.[0];
      const why =
        number === undefined
          ? this.excerpt(text)
          : `it holds ${number}, which Python writes and JSON does not know. A score there is not a finite number; look at the server's vectors`;
      throw new ServiceFailure(`the answer is not JSON: ${why}`, { status: 200, cause });
    }
  }

  #errorOf(failure: ServiceFailure, tries: number): Error {
    const { title, advice, error } = this.#options;
    const url = shownAddress(this.url);
    const why = hideSecrets(failure.message, this.#secrets);
    const tried = tries > 1 ? ` (tried ${tries} times)` : "";
    const what = advice?.(failure) ?? "";
    const { isRetryable, status } = failure;
    const cause = this.#secrets.some((secret) => secret !== "") ? undefined : failure.cause;
    return error(`${title} ${url}: ${why}${tried}.${what === "" ? "" : ` ${what}`}`, {
      url,
      isRetryable,
      status,
      cause,
    });
  }
}

function retryAfterOf(failure: unknown): number | undefined {
  return failure instanceof ServiceFailure ? failure.retryAfterMs : undefined;
}
