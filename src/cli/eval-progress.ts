/** @file What `sleuth eval` shows while it works: a bar with the score so far, and after the first attempts what all of them will take. */
import type { EvaluationRecord } from "../eval/evaluation.js";
import type { Config } from "../train/config/config.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import { count, duration, plural } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";

type Part = "greedy" | "sampled" | "corpus";

const bars: Readonly<Record<Part, { label: string; unit: string }>> = {
  corpus: { label: "Answers in the corpus", unit: "passage" },
  greedy: { label: "Greedy", unit: "attempt" },
  sampled: { label: "Sampled", unit: "attempt" },
};

/** Attempts after which the others are estimated, and from how long they take it is told. */
const pilot = 24;
const worthTellingMs = 60_000;

export class EvaluationProgress {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #shown: { part: Part; bar: ProgressBar } | undefined;
  #right = 0;
  #scored = 0;
  /** By this process. */
  #made = 0;
  #tokens = 0;
  #done = 0;
  #beganMs = 0;
  #isEstimated = false;

  constructor(terminal: Terminal, now: () => number = Date.now) {
    this.#terminal = terminal;
    this.#now = now;
  }

  /**
   * Tells before the start what the attempts take at most.
   * @param attempts all of them
   */
  announce(attempts: number, { rollout, server }: Pick<Config, "rollout" | "server">): void {
    const turns = rollout.maxSearches + 1;
    const tokens = attempts * turns * rollout.maxTokensPerTurn;
    const price = server.url === "" ? 0 : (tokens * server.outputPrice) / 1e6;
    const cost = price > 0 ? ` (US$ ${price.toFixed(2)}, and the prompts beside them)` : "";
    this.#terminal.note(
      this.#terminal.progressColors.dim(
        `${plural(attempts, "attempt")} of at most ${plural(turns, "turn")} of ${plural(rollout.maxTokensPerTurn, "token")}: at most ${count(tokens)} are written${cost}. What the others take is measured by the first ${pilot}, and told where it is long.`,
      ),
    );
  }

  update(part: Part, done: number, total: number): void {
    if (this.#shown?.part !== part) {
      this.stop();
      // What an earlier process has done is no merit of this one.
      const from = part === "corpus" ? 0 : Math.max(0, done - 1);
      this.#shown = { part, bar: new ProgressBar(this.#terminal, { ...bars[part], total, from, now: this.#now }) };
      if (part !== "corpus") this.#beganMs = this.#now();
    }
    this.#done = done;
    this.#shown.bar.update(done, part === "corpus" ? "" : this.#score());
  }

  #score(): string {
    return this.#scored === 0 ? "" : `EM ${(this.#right / this.#scored).toFixed(3)} so far`;
  }

  /** @param record an attempt that was made just now */
  add(record: EvaluationRecord, done: number, total: number): void {
    this.#right += record.exactMatch;
    this.#scored++;
    this.#made++;
    for (const { tokens_T } of record.trajectory.segments) this.#tokens += tokens_T.length;
    this.#shown?.bar.update(this.#done, this.#score());
    if (this.#isEstimated || this.#made < pilot) return;
    this.#isEstimated = true;
    const left = total - done;
    const leftMs = ((this.#now() - this.#beganMs) / this.#made) * left;
    if (leftMs < worthTellingMs) return;
    const tokens = (this.#tokens / this.#made) * left;
    this.#terminal.note(
      `After ${plural(this.#made, "attempt")}: the other ${count(left)} take about ${duration(leftMs)} and ${count(tokens)} tokens. Ctrl-C stops.`,
    );
  }

  /** Attempts of an earlier process count for the score. */
  addEarlier(records: readonly EvaluationRecord[]): void {
    for (const { exactMatch } of records) this.#right += exactMatch;
    this.#scored += records.length;
  }

  stop(): void {
    this.#shown?.bar.stop();
    this.#shown = undefined;
  }
}
