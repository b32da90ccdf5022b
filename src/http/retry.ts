/** @file Trying again: which failures deserve it, how long to wait, and never after the caller has given up. */

export interface RetrySettings {
  /** Further tries after the first. */
  retries: number;
  /** Wait before the first further try; doubled each time. Milliseconds. */
  firstDelayMs: number;
  /** Longest wait of ours. Milliseconds. */
  maxDelayMs: number;
  /** Longest wait a server may ask for with `retry-after`; asked for more, the call fails at once. Milliseconds. */
  maxRetryAfterMs: number;
}

export const defaultRetry: RetrySettings = {
  retries: 3,
  firstDelayMs: 250,
  maxDelayMs: 8_000,
  maxRetryAfterMs: 60_000,
};

export interface RetryTools {
  /** Resolves after `ms`, rejects with the signal's reason when it aborts first. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
  random: () => number;
}

/** A request that failed. Those who asked make an error of their own of it. */
export class HttpError extends Error {
  readonly url: string;
  /** What went wrong, for a sentence that names the server. */
  readonly why: string;
  /** Whether the same request may succeed later. */
  readonly isRetryable: boolean;
  readonly status?: number;
  /** How often it was tried. */
  readonly tries: number;

  constructor(
    why: string,
    details: { url: string; isRetryable: boolean; status?: number; tries?: number; cause?: unknown },
  ) {
    const tries = details.tries ?? 1;
    super(`${details.url}: ${why}${tries === 1 ? "" : ` (tried ${tries} times)`}`, { cause: details.cause });
    this.name = "HttpError";
    this.url = details.url;
    this.why = why;
    this.isRetryable = details.isRetryable;
    this.status = details.status;
    this.tries = tries;
  }
}

/** A failure that is worth another try, and when to come back. */
export class Retryable extends Error {
  readonly error: HttpError;
  /** What the server asked for. Milliseconds. */
  readonly retryAfterMs?: number;

  constructor(error: HttpError, retryAfterMs?: number) {
    super(error.message);
    this.error = error;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the tries are used up. Only `Retryable` failures are tried again;
 * the wait is exponential with full jitter in its upper half, and at least what the server asked for.
 * @throws the `HttpError` inside the last `Retryable`, with the number of tries, any other error as it is, the signal's reason once it aborts.
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  settings: RetrySettings,
  tools: RetryTools,
  signal?: AbortSignal,
): Promise<T> {
  for (let tries = 0; ; tries++) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (failure) {
      signal?.throwIfAborted();
      if (!(failure instanceof Retryable)) throw failure;
      const { error, retryAfterMs = 0 } = failure;
      if (tries >= settings.retries || retryAfterMs > settings.maxRetryAfterMs) throw finalError(error, tries + 1);
      const backoff = Math.min(settings.maxDelayMs, settings.firstDelayMs * 2 ** tries);
      await tools.sleep(Math.max(retryAfterMs, backoff * (0.5 + 0.5 * tools.random())), signal);
    }
  }
}

/** `retry-after` in milliseconds: seconds or an HTTP date; undefined when absent or unreadable. */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null || value.trim() === "") return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

function finalError(error: HttpError, tries: number): HttpError {
  const { url, why, isRetryable, status } = error;
  return new HttpError(why, { url, isRetryable, status, tries, cause: error.cause });
}
