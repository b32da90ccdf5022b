/** @file The live display of a training run: a few lines that say whether it learns, and how long it still takes. */
import type { Phase, TrainEvent } from "../../train/run.js";
import { bar, duration, percent, plural, sparkline } from "./format.js";
import type { ProgressPicture, Terminal } from "./terminal.js";

type StepEvent = Extract<TrainEvent, { kind: "step" }>;
type WatchEvent = Extract<TrainEvent, { kind: "watch" }>;
type EvaluationEvent = Extract<TrainEvent, { kind: "evaluation" }>;

/** What the loop is doing, for people. */
const activities: Readonly<Record<Phase, string>> = {
  rollout: "attempting questions",
  validation: "validating",
  before: "testing before training",
  after: "testing the checkpoint that is kept",
};

/** Draws the events of a run. Give `onEvent` to `train`, and call `stop` when it is over. */
export class TrainingPanel {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startedMs: number;
  #steps = 0;
  #done = 0;
  #secondsLeft: number | undefined;
  #last: StepEvent | undefined;
  readonly #trained: number[] = [];
  readonly #greedy: number[] = [];
  readonly #sampled: number[] = [];
  #activity = "starting";
  #watch = "nothing to report";

  constructor(terminal: Terminal, now: () => number = Date.now) {
    this.#terminal = terminal;
    this.#now = now;
    this.#startedMs = now();
    terminal.progress(() => this.#picture());
  }

  readonly onEvent = (event: TrainEvent): void => {
    switch (event.kind) {
      case "start":
        this.#steps = event.steps;
        this.#done = event.resumedFrom ?? 0;
        if (event.resumedFrom !== null)
          this.#terminal.note(`Continuing ${event.folder} after step ${event.resumedFrom}.`);
        break;
      case "note":
      case "warning":
        this.#terminal.notice(event);
        break;
      case "progress":
        this.#activity =
          event.phase === "rollout" && event.done === event.total
            ? "learning"
            : `${activities[event.phase]} ${event.done}/${event.total}`;
        break;
      case "step":
        this.#takeStep(event);
        break;
      case "evaluation":
        this.#takeEvaluation(event);
        break;
      case "watch":
        for (const message of event.messages) this.#terminal.note(this.#terminal.progressColors.yellow(message));
        this.#watch = watchLine(event);
        break;
      case "best":
      case "checkpoint":
      case "interrupted":
        break;
      case "end":
        this.#done = this.#steps = event.result.steps;
        this.#activity = event.result.status;
        break;
    }
    this.#terminal.progress(() => this.#picture());
  };

  stop(): void {
    this.#terminal.endProgress();
  }

  #takeStep(event: StepEvent): void {
    this.#last = event;
    this.#done = event.step;
    this.#steps = event.steps;
    this.#secondsLeft = event.secondsLeft;
    this.#activity = "beginning the next step";
    this.#trained.push(event.metrics["em/train"] ?? 0);
  }

  #takeEvaluation({ phase, evaluation }: EvaluationEvent): void {
    if (phase === "before") this.#tellBefore(evaluation);
    if (phase !== "validation") return;
    (evaluation.temperature === 0 ? this.#greedy : this.#sampled).push(evaluation.exactMatch.value);
  }

  /** At once: the test after training comes much later, or never. */
  #tellBefore({ temperature, exactMatch, n }: EvaluationEvent["evaluation"]): void {
    const how = temperature === 0 ? "greedy" : "at temperature 1";
    this.#terminal.note(
      `Before training, ${how}: ${percent(exactMatch.value)} of ${plural(n, "test question")} answered exactly right.`,
    );
  }

  #picture(): ProgressPicture {
    const elapsed = duration(this.#now() - this.#startedMs);
    const left = this.#secondsLeft === undefined ? "" : `, ${duration(this.#secondsLeft * 1000)} of training left`;
    return { lines: this.#lines(elapsed + left), plain: this.#plain(elapsed + left) };
  }

  #lines(time: string): string[] {
    const colors = this.#terminal.progressColors;
    const share = this.#steps > 0 ? this.#done / this.#steps : 0;
    const heading = `${this.#steps > 0 ? `Step ${this.#done}/${this.#steps}` : "Step –"} ${colors.cyan(bar(share, 24))} ${time}`;
    const metrics = this.#last?.metrics;
    const reward = metrics?.["reward/mean"]?.toFixed(3) ?? "–";
    const searches = metrics?.["searches/perQuestion"]?.toFixed(2) ?? "–";
    return [
      heading,
      this.#curve("exact match, training", this.#trained, colors.yellow),
      this.#curve("exact match, validation", this.#greedy, colors.green),
      ...(this.#sampled.length > 0 ? [this.#curve("  at temperature 1", this.#sampled, colors.green)] : []),
      `  ${"reward".padEnd(24)}${reward.padStart(8)}  searches per question ${searches}`,
      `  ${"collapse watch".padEnd(24)}${this.#watch}`,
      colors.dim(`  ${this.#activity}`),
    ];
  }

  #curve(name: string, values: readonly number[], paint: (text: string) => string): string {
    const latest = values.length > 0 ? percent(values[values.length - 1]) : "–";
    const width = Math.min(60, Math.max(10, this.#terminal.columns - 42));
    return `  ${name.padEnd(24)}${latest.padStart(8)}  ${paint(sparkline(values, width))}`;
  }

  #plain(time: string): string {
    const metrics = this.#last?.metrics;
    const parts = this.#steps > 0 ? [`step ${this.#done}/${this.#steps}`] : [];
    if (metrics) {
      parts.push(`reward ${metrics["reward/mean"]?.toFixed(3)}`, `exact match ${percent(metrics["em/train"] ?? 0)}`);
      parts.push(`searches ${metrics["searches/perQuestion"]?.toFixed(2)}`);
    }
    if (this.#greedy.length > 0) parts.push(`validation ${percent(this.#greedy[this.#greedy.length - 1])}`);
    if (this.#sampled.length > 0) parts.push(`validation at T=1 ${percent(this.#sampled[this.#sampled.length - 1])}`);
    return [...parts, time, this.#activity].join(", ");
  }
}

/** What the collapse watch sees and has done. */
function watchLine({ open, rollbacks, learningRateScale }: WatchEvent): string {
  const signs =
    open.length === 0 ? "nothing to report" : open.map(({ signal, severity }) => `${severity}: ${signal}`).join(", ");
  return rollbacks === 0 ? signs : `${signs} (${rollbacks} rolled back, learning rate ×${learningRateScale})`;
}
