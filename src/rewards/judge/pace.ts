/** @file How fast a server is asked: so many requests at once, so many a minute, and none while it wants a rest. */
import type { HttpTools } from "../../http/post.js";

export class Pace {
  readonly #gapMs: number;
  readonly #tools: Pick<HttpTools, "now" | "sleep">;
  readonly #waiting: (() => void)[] = [];
  #free: number;
  /** When the next request may begin. Milliseconds since 1970. */
  #next = 0;

  /** @param perMinute 0: as many as there are */
  constructor(atOnce: number, perMinute: number, tools: Pick<HttpTools, "now" | "sleep">) {
    this.#free = atOnce;
    this.#gapMs = perMinute === 0 ? 0 : 60_000 / perMinute;
    this.#tools = tools;
  }

  /** Runs `task` when there is a place for it. */
  async inPlace<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  /** Resolves when a request may be sent; each one that waits gets a moment of its own. */
  async turn(signal: AbortSignal): Promise<void> {
    const now = this.#tools.now();
    const at = Math.max(now, this.#next);
    this.#next = at + this.#gapMs;
    if (at > now) await this.#tools.sleep(at - now, signal);
  }

  /** Nobody asks for so long. */
  rest(ms: number): void {
    this.#next = Math.max(this.#next, this.#tools.now() + ms);
  }
}
