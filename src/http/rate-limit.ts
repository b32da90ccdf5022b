/** @file So many requests per second and no more, evenly spaced. */
import { realTools, type HttpTools } from "./post.js";

/**
 * A token bucket that holds one token: two requests are never closer than `1 / perSecond` seconds, so no second sees more than it should,
 * whichever second it is. First come, first served; who gives up while waiting takes no token.
 */
export class RateLimit {
  readonly #gapMs: number;
  readonly #tools: Pick<HttpTools, "now" | "sleep">;
  /** When the next token is there. Milliseconds since 1970. */
  #nextAt = 0;
  /** Resolves when the one who came last has gone. */
  #queue: Promise<void> = Promise.resolve();

  /** @param perSecond above 0 */
  constructor(perSecond: number, tools: Partial<Pick<HttpTools, "now" | "sleep">> = {}) {
    if (!Number.isFinite(perSecond) || perSecond <= 0)
      throw new RangeError(`Requests per second must be above 0, got ${perSecond}.`);
    this.#gapMs = 1000 / perSecond;
    this.#tools = { ...realTools, ...tools };
  }

  /**
   * Waits until a request may be sent.
   * @throws the signal's reason when it aborts first
   */
  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const before = this.#queue;
    let go = (): void => undefined;
    this.#queue = new Promise((resolve) => (go = resolve));
    try {
      await orAborted(before, signal);
      // Nobody ahead, the next token is never further than this: more is a clock that was set back.
      const waitMs = Math.min(this.#gapMs, this.#nextAt - this.#tools.now());
      if (waitMs > 0) await this.#tools.sleep(waitMs, signal);
      const now = this.#tools.now();
      // A timer may fire a little early, and the next one should not come early as well.
      this.#nextAt = (this.#nextAt > now + this.#gapMs ? now : Math.max(now, this.#nextAt)) + this.#gapMs;
    } finally {
      // Who gave up in the middle of the queue does not let the next one past those in front.
      void before.then(go);
    }
  }
}

function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    void promise.then(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
  });
}
