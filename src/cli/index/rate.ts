/** @file How many passages are made, and how fast, as progress bars say it. */
import { count } from "../terminal/format.js";

export function rateOf(passages: number, perSecond: number): string {
  const rate = perSecond >= 10 ? count(perSecond) : perSecond.toFixed(1);
  return `${count(passages)} passages${perSecond > 0 ? `, ${rate} passages/s` : ""}`;
}

/** The rate of this call alone: what an interrupted call had done is in what is reported, and is told apart by `base`. */
export class PassageRate {
  readonly #startedMs = performance.now();
  #base: number | undefined;

  /**
   * What to say after so many passages.
   * @param base how many of them an earlier call had made, as far as is known; the first time counts. Default: all of them.
   */
  report(passages: number, base = passages): string {
    this.#base ??= base;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    return rateOf(passages, (passages - this.#base) / Math.max(seconds, 0.001));
  }
}
