/** @file The live display of a training run: a few lines that say whether it learns, and how long it still takes. */
import { bar, duration, percent, sparkline, visibleWidth } from "./format.js";
import type { ProgressPicture, Terminal } from "./terminal.js";

/** What one training step is worth showing. */
export interface PanelStep {
  /** Steps finished, from 1. */
  step: number;
  /** Mean reward and exact match of the step's rollouts. */
  reward: number;
  exactMatch: number;
  searchesPerQuestion: number;
}

export interface PanelEvaluation {
  step: number;
  /** Exact match on validation questions, greedy and (where measured) at temperature 1. */
  greedy?: number;
  sampled?: number;
}

export class TrainingPanel {
  readonly #terminal: Terminal;
  readonly #steps: number;
  readonly #firstStep: number;
  readonly #now: () => number;
  readonly #startedMs: number;
  readonly #history: PanelStep[] = [];
  readonly #evaluations: PanelEvaluation[] = [];
  #activity = "starting";

  /** @param firstStep steps that a resumed run has behind it */
  constructor(terminal: Terminal, options: { steps: number; firstStep?: number; now?: () => number }) {
    this.#terminal = terminal;
    this.#steps = options.steps;
    this.#firstStep = options.firstStep ?? 0;
    this.#now = options.now ?? Date.now;
    this.#startedMs = this.#now();
  }

  step(step: PanelStep): void {
    this.#history.push(step);
    this.#draw();
  }

  evaluation(evaluation: PanelEvaluation): void {
    this.#evaluations.push(evaluation);
    this.#draw();
  }

  /** What the loop is doing right now, in a word or two. */
  activity(text: string): void {
    this.#activity = text;
    this.#draw();
  }

  stop(): void {
    this.#terminal.endProgress();
  }

  #draw(): void {
    this.#terminal.progress(() => this.#picture());
  }

  #picture(): ProgressPicture {
    const last = this.#history.at(-1);
    const done = last?.step ?? this.#firstStep;
    const elapsedMs = this.#now() - this.#startedMs;
    const fresh = done - this.#firstStep;
    const left = fresh > 0 ? `${duration((elapsedMs / fresh) * (this.#steps - done))} left` : "";
    const time = [duration(elapsedMs), left].filter((part) => part !== "").join(", ");
    return {
      lines: this.#lines(last, done, time),
      plain: this.#plain(last, done, time),
    };
  }

  #lines(last: PanelStep | undefined, done: number, time: string): string[] {
    const colors = this.#terminal.progressColors;
    const width = Math.min(60, Math.max(10, this.#terminal.columns - 42));
    const curve = (name: string, values: number[], paint: (text: string) => string): string => {
      const latest = values.length > 0 ? percent(values[values.length - 1]) : "–";
      const label = `  ${name.padEnd(24)}${latest.padStart(8)}  `;
      return label + paint(sparkline(values, width));
    };
    const greedy = this.#evaluations.flatMap(({ greedy }) => (greedy === undefined ? [] : [greedy]));
    const sampled = this.#evaluations.flatMap(({ sampled }) => (sampled === undefined ? [] : [sampled]));
    const searches = last ? last.searchesPerQuestion.toFixed(2) : "–";
    const heading = `Step ${done}/${this.#steps} ${colors.cyan(bar(done / this.#steps, 24))} ${time}`;
    const room = this.#terminal.columns - visibleWidth(heading);
    return [
      heading + (room > this.#activity.length + 4 ? colors.dim(`  ${this.#activity}`) : ""),
      curve(
        "exact match, training",
        this.#history.map(({ exactMatch }) => exactMatch),
        colors.yellow,
      ),
      curve("exact match, validation", greedy, colors.green),
      ...(sampled.length > 0 ? [curve("  at temperature 1", sampled, colors.green)] : []),
      `  ${"reward".padEnd(24)}${(last ? last.reward.toFixed(3) : "–").padStart(8)}  searches per question ${searches}`,
    ];
  }

  #plain(last: PanelStep | undefined, done: number, time: string): string {
    const parts = [`step ${done}/${this.#steps}`];
    if (last) {
      parts.push(`reward ${last.reward.toFixed(3)}`, `exact match ${percent(last.exactMatch)}`);
      parts.push(`searches ${last.searchesPerQuestion.toFixed(2)}`);
    }
    const evaluation = this.#evaluations.at(-1);
    if (evaluation?.greedy !== undefined) parts.push(`validation ${percent(evaluation.greedy)}`);
    if (evaluation?.sampled !== undefined) parts.push(`validation at T=1 ${percent(evaluation.sampled)}`);
    return [...parts, time, this.#activity].join(", ");
  }
}
