/** @file Waiting in order: so many at once, and not for ever. */

/** Lets so many through at once; the others wait in order. */
export class Gate {
  readonly #most: number;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #leaving: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Runs a task in its turn. A caller that gives up gets its reason at once; a task already begun keeps its place until it is done, so
   * that callers who give up do not pile up work.
   */
  run<Answer>(task: () => Promise<Answer>, signal?: AbortSignal): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => {
        const place = this.#waiting.indexOf(begin);
        if (place >= 0) this.#waiting.splice(place, 1);
        reject(signal?.reason as Error);
      };
      const begin = (): void => {
        this.#inside++;
        const done = (): void => {
          signal?.removeEventListener("abort", onAbort);
          this.#inside--;
          this.#waiting.shift()?.();
          if (this.#inside === 0) for (const leave of this.#leaving.splice(0)) leave();
        };
        task().then(
          (answer) => {
            done();
            resolve(answer);
          },
          (error: unknown) => {
            done();
            reject(error as Error);
          },
        );
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      if (this.#inside < this.#most) begin();
      else this.#waiting.push(begin);
    });
  }

  /** Nobody is inside; then nobody waits, either. */
  get isEmpty(): boolean {
    return this.#inside === 0;
  }

  /** When nothing is inside any more. */
  idle(): Promise<void> {
    if (this.#inside === 0) return Promise.resolve();
    return new Promise((resolve) => this.#leaving.push(resolve));
  }
}

/**
 * The promise's answer, or `late` after so many milliseconds. What then still arrives is handed to `discard`.
 */
export function withDeadline<Answer>(
  promise: Promise<Answer>,
  timeoutMs: number,
  late: Error,
  discard: (answer: Answer) => unknown = () => {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(late);
    }, timeoutMs);
    promise.then(
      (answer) => {
        clearTimeout(timer);
        if (isLate) discard(answer);
        else resolve(answer);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}

/** The promise's answer, or the signal's reason as soon as the caller gives up. What the promise does is not stopped by that. */
export function orAborted<Answer>(promise: Promise<Answer>, signal: AbortSignal | undefined): Promise<Answer> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
