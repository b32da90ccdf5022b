/** @file Every wait has an end: a deadline, or somebody's abort. */

/** The wait was given up because its time was over. */
export class DeadlineError extends Error {
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.name = "DeadlineError";
    this.timeoutMs = timeoutMs;
  }
}

/** Longest delay that timers take; longer ones fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Runs `start` and waits for it until `timeoutMs` (Infinity: no deadline) or until `signal` aborts. The signal handed
 * to `start` aborts in both cases, but the wait ends even if `start` ignores it; what it says later is dropped.
 * @throws DeadlineError, the signal's reason, or what `start` threw.
 */
export function withDeadline<T>(
  start: (signal: AbortSignal) => Promise<T>,
  options: { timeoutMs: number; signal?: AbortSignal },
): Promise<T> {
  const { timeoutMs, signal } = options;
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const giveUp = (reason: unknown): void => {
      settle(() => reject(reason));
      controller.abort(reason);
    };
    const onAbort = (): void => giveUp(signal?.reason);
    const timer =
      timeoutMs <= longestTimerMs ? setTimeout(() => giveUp(new DeadlineError(timeoutMs)), timeoutMs) : undefined;
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      action();
    };
    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort);
    invoke(start, controller.signal).then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

/** Turns a synchronous throw of `start` into a rejection. */
async function invoke<T>(start: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return start(signal);
}
