/** @file A circuit breaker: a server that fails again and again is left alone for a while instead of being waited for by everybody. */
import { ServiceFailure } from "./request.js";

export interface BreakerSettings {
  /** Requests that must fail in a row, retries included; 0: the breaker never opens. */
  failuresInRow: number;
  /** How long the server is left alone then. Milliseconds. */
  restMs: number;
}

export const defaultBreaker: BreakerSettings = { failuresInRow: 10, restMs: 5_000 };

/**
 * Closed: every request passes. Open: after so many failures in a row, requests fail at once for a while. Half open: after that, one request
 * passes as a probe and the others fail at once; the probe's outcome closes or opens the breaker. A failure is an error worth a retry;
 * an answer that says "wrong" or "too many requests" comes from a server that is alive. One breaker belongs to one server.
 */
export class CircuitBreaker {
  /** How often it has opened. */
  opened = 0;
  /** Requests that failed at once. */
  refused = 0;
  readonly #settings: BreakerSettings;
  readonly #now: () => number;
  #failures = 0;
  #lastWhy = "";
  /** Undefined: closed. */
  #restsUntil: number | undefined;
  #isProbing = false;

  /** @param now milliseconds of any clock that does not go back */
  constructor(settings: BreakerSettings = defaultBreaker, now: () => number = () => performance.now()) {
    this.#settings = settings;
    this.#now = now;
  }

  /** @throws ServiceFailure (retryable later) at once while the server is left alone; what the attempt throws */
  async run<T>(attempt: () => Promise<T>): Promise<T> {
    const isProbe = this.#restsUntil !== undefined;
    if (isProbe) this.#refuse();
    this.#isProbing ||= isProbe;
    try {
      const answer = await attempt();
      this.#close();
      return answer;
    } catch (error) {
      if (error instanceof ServiceFailure) {
        if (error.isRetryable && error.status !== 429) this.#fail(error.message);
        else this.#close();
      }
      throw error;
    } finally {
      if (isProbe) this.#isProbing = false;
    }
  }

  #refuse(): void {
    const left = Math.max(0, (this.#restsUntil as number) - this.#now());
    if (left === 0 && !this.#isProbing) return;
    this.refused++;
    const until = left === 0 ? "until a probe has succeeded" : `for another ${Math.ceil(left)} ms`;
    const why = `it is left alone ${until}, since ${this.#failures} requests in a row have failed, the last one because: ${this.#lastWhy}`;
    throw new ServiceFailure(why, { isRetryable: true });
  }

  #fail(why: string): void {
    this.#failures++;
    this.#lastWhy = why;
    const { failuresInRow, restMs } = this.#settings;
    if (failuresInRow === 0 || this.#failures < failuresInRow) return;
    // Requests that were under way when it opened fail one by one; they do not prolong the pause.
    if (this.#restsUntil !== undefined && this.#now() < this.#restsUntil) return;
    this.#restsUntil = this.#now() + restMs;
    this.opened++;
  }

  #close(): void {
    this.#failures = 0;
    this.#restsUntil = undefined;
  }
}
