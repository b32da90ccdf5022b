/** @file The progress bars of `sleuth index`: how much of the corpus is read, how many passages are made, and how fast. */
import { count, plural } from "../terminal/format.js";
import { ProgressBar } from "../terminal/progress-bar.js";
import type { Terminal } from "../terminal/terminal.js";

export function rateOf(passages: number, perSecond: number): string {
  const rate = perSecond >= 10 ? count(perSecond) : perSecond.toFixed(1);
  return `${plural(passages, "passage")}${perSecond > 0 ? `, ${rate} passages/s` : ""}`;
}

/** The rate of this call alone: reports include what an interrupted call had done, and `base` says how much that was. */
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

/** Bytes of the corpus, for the time left; passages, which are told less often, for the rate. */
export class Bm25Progress {
  /** Options of `buildIndex` and `addToIndex`. */
  readonly calls = {
    onProgress: (done: number, total: number): void => {
      this.#done = done;
      this.#bar ??= new ProgressBar(this.#terminal, { label: "Indexing", total, unit: "bytes" });
      this.#bar.update(done, this.#detail);
    },
    onPassages: (passages: number): void => {
      this.#detail = this.#rate.report(passages, 0);
      this.#bar?.update(this.#done, this.#detail);
    },
    onMerge: (fraction: number): void => {
      this.#merging ??=
        (this.#bar?.stop(), new ProgressBar(this.#terminal, { label: "Merging", total: 1, unit: "share" }));
      this.#merging.update(fraction);
    },
  };
  readonly #terminal: Terminal;
  readonly #rate = new PassageRate();
  #bar: ProgressBar | undefined;
  #merging: ProgressBar | undefined;
  #done = 0;
  #detail = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  stop(): void {
    (this.#merging ?? this.#bar)?.stop();
  }
}

/** Reading goes ahead of what is durable by a commit or two. */
export class LanceProgressBar {
  readonly #terminal: Terminal;
  readonly #rate = new PassageRate();
  #bar: ProgressBar | undefined;
  #detail = "";

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  readonly read = (done: number, total: number): void => {
    this.#bar ??= new ProgressBar(this.#terminal, { label: "Writing", total, unit: "bytes", from: done });
    this.#bar.update(done, this.#detail);
  };

  readonly wrote = ({ stage, passages }: { stage: "writing" | "indexing"; passages: number }): void => {
    this.#detail = this.#rate.report(passages);
    if (stage === "indexing") {
      this.stop();
      this.#terminal.note(`${plural(passages, "passage")} written.`);
      this.#terminal.waiting("Making the vector index");
    }
  };

  stop(): void {
    this.#terminal.endProgress();
    this.#bar = undefined;
  }
}
