/** @file At most so many requests per second, evenly spaced, and none while a server asks for a pause. */
import { Gate } from "../async.js";
import { realTools, type HttpTools } from "./request.js";

const noRest = { until: 0, ms: 0 };

/**
 * A token bucket that holds one token: two requests are never closer than `1 / perSecond` seconds, so no second sees more than it should,
 * whichever second it is. First come, first served; a caller that gives up while waiting takes no token.
 */
export class RateLimit {
  readonly #gapMs: number;
  readonly #tools: Pick<HttpTools, "now" | "sleep">;
  /** One caller at a time waits for the next token, the others for their turn. */
  readonly #queue = new Gate(1);
  /** When the next token is there. Milliseconds since 1970. */
  #nextAt = 0;
  #rest = noRest;

  /** @param perSecond above 0; undefined: no limit except during pauses */
  constructor(perSecond: number | undefined, tools: Partial<Pick<HttpTools, "now" | "sleep">> = {}) {
    if (perSecond !== undefined && (!Number.isFinite(perSecond) || perSecond <= 0))
      throw new RangeError(`Requests per second must be above 0, got ${perSecond}.`);
    this.#gapMs = perSecond === undefined ? 0 : 1000 / perSecond;
    this.#tools = { ...realTools, ...tools };
  }

  /**
   * Waits until a request may be sent.
   * @throws the signal's reason when it aborts first
   */
  take(signal: AbortSignal): Promise<void> {
    return this.#queue.run(() => this.#takeToken(signal), { signal });
  }

  /** No request is sent for so many milliseconds from now, as with a `retry-after`. */
  rest(ms: number): void {
    const until = this.#tools.now() + ms;
    if (until > this.#rest.until) this.#rest = { until, ms };
  }

  async #takeToken(signal: AbortSignal): Promise<void> {
    const { now: clock, sleep } = this.#tools;
    const start = clock();
    const rest = this.#rest;
    // The next token is at most a gap away, and no pause exceeds what was asked for: more means that the clock was set back.
    const waitMs = Math.max(Math.min(this.#gapMs, this.#nextAt - start), Math.min(rest.ms, rest.until - start));
    if (waitMs > 0) await sleep(waitMs, signal);
    if (this.#rest === rest) this.#rest = noRest;
    const now = clock();
    // A timer may fire a little early, and the next one should not come early as well.
    this.#nextAt = (this.#nextAt > now + this.#gapMs ? now : Math.max(now, this.#nextAt)) + this.#gapMs;
  }
}
