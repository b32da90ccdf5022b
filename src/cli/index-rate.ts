/** @file How many passages are made, and how fast, as progress bars say it. */
import { count } from "./terminal/format.js";

export function rateOf(passages: number, perSecond: number): string {
  const rate = perSecond >= 10 ? count(perSecond) : perSecond.toFixed(1);
  return `${count(passages)} passages${perSecond > 0 ? `, ${rate} passages/s` : ""}`;
}

/** The rate since the first report: what an interrupted call had done is in all of them. */
export class PassageRate {
  private first: { passages: number; atMs: number } | undefined;

  /** What to say after so many passages. */
  report(passages: number): string {
    const now = performance.now();
    this.first ??= { passages, atMs: now };
    const seconds = (now - this.first.atMs) / 1000;
    return rateOf(passages, seconds > 0 ? (passages - this.first.passages) / seconds : 0);
  }
}
