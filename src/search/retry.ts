/** @file Trying again: which failures deserve it, how long to wait, and never after the caller has given up. */
import { SearchError } from "./engine.js";

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

/** A retryable failure that says when to come back. */
export interface RetryHint {
  error: SearchError;
  /** What the server asked for. Milliseconds. */
  retryAfterMs?: number;
}

/** Carries a hint through `throw`. */
export class Retryable extends Error {
  readonly hint: RetryHint;

  constructor(hint: RetryHint) {
    super(hint.error.message);
    this.hint = hint;
  }
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the tries are used up. Only `Retryable` failures are tried again;
 * the wait is exponential with full jitter in its upper half, and at least what the server asked for.
 * @throws the `SearchError` inside the last `Retryable`, any other error as it is, the signal's reason once it aborts.
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
      const { error, retryAfterMs = 0 } = failure.hint;
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

function finalError(error: SearchError, tries: number): SearchError {
  if (tries === 1) return error;
  const { engine, isRetryable, url, status } = error;
  return new SearchError(`${error.message} (tried ${tries} times)`, { engine, isRetryable, url, status, cause: error });
}
