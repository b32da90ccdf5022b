/** @file A bar with rate and time left, for tasks that count up to a known total. */
import { bar, count, duration } from "./format.js";
import type { Terminal } from "./terminal.js";

export interface ProgressBarOptions {
  label: string;
  /** How many units there are. */
  total: number;
  /** Name of the unit, plural: "passages", "questions". Empty where `format` says it. */
  unit: string;
  /** Units that were done before: they count as done, but not for the rate and the time left. Default: 0. */
  from?: number;
  /** How a number of units reads. */
  format?: (value: number) => string;
  now?: () => number;
}

export class ProgressBar {
  readonly #terminal: Terminal;
  readonly #options: ProgressBarOptions;
  readonly #now: () => number;
  readonly #startedMs: number;
  #done = 0;

  constructor(terminal: Terminal, options: ProgressBarOptions) {
    this.#terminal = terminal;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#startedMs = this.#now();
    this.update(options.from ?? 0);
  }

  /** Units done so far; `detail` is shown behind the bar. */
  update(done: number, detail = ""): void {
    this.#done = done;
    this.#terminal.progress(() => this.#picture(detail));
  }

  /** One unit more. */
  advance(detail = ""): void {
    this.update(this.#done + 1, detail);
  }

  stop(): void {
    this.#terminal.endProgress();
  }

  #picture(detail: string): { lines: string[]; plain: string } {
    const { label, total, unit, from = 0, format = readable } = this.#options;
    const elapsedMs = this.#now() - this.#startedMs;
    const rate = elapsedMs > 0 ? (Math.max(0, this.#done - from) / elapsedMs) * 1000 : 0;
    const share = total > 0 ? this.#done / total : 1;
    const left = rate > 0 ? `${duration(((total - this.#done) / rate) * 1000)} left` : "";
    const parts = [
      `${format(this.#done)}/${format(total)} ${unit}`.trimEnd(),
      rate > 0 ? `${format(rate)}/s` : "",
      this.#done >= total ? `in ${duration(elapsedMs)}` : left,
      detail,
    ];
    const text = parts.filter((part) => part !== "").join(", ");
    const colors = this.#terminal.progressColors;
    return {
      lines: [`${label} ${colors.cyan(bar(share, 24))} ${(share * 100).toFixed(0).padStart(3)} %  ${text}`],
      plain: `${label}: ${(share * 100).toFixed(0)} %, ${text}`,
    };
  }
}

/** Whole numbers as they are; small rates with a decimal. */
function readable(value: number): string {
  return Number.isInteger(value) || value >= 10 ? count(value) : value.toFixed(1);
}
