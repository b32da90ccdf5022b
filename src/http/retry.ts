/** @file Trying again: which failures deserve it, how long to wait, and never after the caller has given up. */

export interface RetrySettings {
  /** Tries after the first. */
  retries: number;
  /** Wait before the first retry; doubled each time. Milliseconds. */
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

interface RetryOptions {
  settings: RetrySettings;
  tools: RetryTools;
  /** How long the server wants to be left alone after this failure, in milliseconds; undefined for a failure that is not worth a retry. */
  waitAsked: (failure: unknown) => number | undefined;
  signal?: AbortSignal;
  /** A number that grows when an attempt has achieved something: then the count of failures begins again. */
  progress?: () => number;
  /** Told of each wait before it begins. */
  onWait?: (ms: number) => void;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or has failed `retries + 1` times in a row without progress. The wait is exponential with
 * full jitter in its upper half, and at least what the server asked for.
 * @throws the last failure; the signal's reason once it aborts
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { settings, tools, waitAsked, signal, progress = () => 0, onWait }: RetryOptions,
): Promise<T> {
  for (let failures = 0; ;) {
    signal?.throwIfAborted();
    const before = progress();
    try {
      return await attempt();
    } catch (failure) {
      signal?.throwIfAborted();
      failures = progress() > before ? 1 : failures + 1;
      const askedMs = waitAsked(failure);
      if (askedMs === undefined || failures > settings.retries || askedMs > settings.maxRetryAfterMs) throw failure;
      const backoffMs = Math.min(settings.maxDelayMs, settings.firstDelayMs * 2 ** (failures - 1));
      const waitMs = Math.max(askedMs, backoffMs * (0.5 + 0.5 * tools.random()));
      onWait?.(waitMs);
      await tools.sleep(waitMs, signal);
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
