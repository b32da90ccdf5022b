/** @file A bar with rate and time left, for tasks that count up to a known total. */
import { bar, bytes, count, duration, plural } from "./format.js";
import type { Terminal } from "./terminal.js";

export interface ProgressBarOptions {
  label: string;
  /** How many units there are. */
  total: number;
  /**
   * What is counted: its name ("passage", "question"); "bytes", shown as kB, MB and so on; or "share", where only the
   * percentage means something: neither counts nor a rate are shown.
   */
  unit: string;
  /** Units that were done before: they count as done, but not for the rate and the time left. Default: 0. */
  from?: number;
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
    const { label, total } = this.#options;
    const share = total > 0 ? this.#done / total : 1;
    const text = [...this.#counts(), detail].filter((part) => part !== "").join(", ");
    const colors = this.#terminal.progressColors;
    const percent = (share * 100).toFixed(0);
    return {
      lines: [`${label} ${colors.cyan(bar(share, 24))} ${percent.padStart(3)} %  ${text}`.trimEnd()],
      plain: `${label}: ${percent} %${text === "" ? "" : `, ${text}`}`,
    };
  }

  /** How much is done, how fast, and how long it takes still or has taken. */
  #counts(): string[] {
    const { total, unit, from = 0 } = this.#options;
    const elapsedMs = this.#now() - this.#startedMs;
    const took = this.#done >= total ? `in ${duration(elapsedMs)}` : "";
    if (unit === "share") return [took];
    const format = unit === "bytes" ? bytes : readable;
    const rate = elapsedMs > 0 ? (Math.max(0, this.#done - from) / elapsedMs) * 1000 : 0;
    const left = rate > 0 ? `${duration(((total - this.#done) / rate) * 1000)} left` : "";
    return [
      `${format(this.#done)}/${unit === "bytes" ? bytes(total) : plural(total, unit)}`,
      rate > 0 ? `${format(rate)}/s` : "",
      took || left,
    ];
  }
}

/** Whole numbers as they are; small rates with a decimal. */
function readable(value: number): string {
  return Number.isInteger(value) || value >= 10 ? count(value) : value.toFixed(1);
}
