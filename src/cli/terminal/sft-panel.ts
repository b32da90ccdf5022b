/** @file The live display of supervised training: how far it is, how fast, and whether the loss falls. */
import type { SftEvent } from "../../train/sft/sft.js";
import { bar, count, duration, plural, sparkline } from "./format.js";
import type { ProgressPicture, Terminal } from "./terminal.js";

/** Draws the events of a run. Give `onEvent` to `sft`, and call `stop` when it is over. */
export class SftPanel {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #startedMs: number;
  #steps = 0;
  #done = 0;
  #secondsLeft: number | undefined;
  #tokensPerSecond: number | undefined;
  readonly #training: number[] = [];
  readonly #validation: number[] = [];
  #activity = "reading transcripts";

  constructor(terminal: Terminal, now: () => number = Date.now) {
    this.#terminal = terminal;
    this.#now = now;
    this.#startedMs = now();
    terminal.progress(() => this.#picture());
  }

  readonly onEvent = (event: SftEvent): void => {
    switch (event.kind) {
      case "start":
        this.#steps = event.steps;
        this.#done = event.resumedFrom ?? 0;
        this.#activity = "learning";
        this.#announce(event);
        break;
      case "note":
      case "warning":
        this.#terminal.notice(event);
        break;
      case "progress":
        this.#activity = `validating ${event.done}/${event.total}`;
        break;
      case "step":
        this.#done = event.step;
        this.#secondsLeft = event.secondsLeft;
        this.#tokensPerSecond = event.tokensPerSecond;
        this.#training.push(event.metrics["loss/perToken"] ?? 0);
        this.#activity = "learning";
        break;
      case "validation":
        this.#validation.push(event.loss);
        break;
      case "best":
      case "checkpoint":
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

  #announce({ folder, resumedFrom, transcripts, tokens, policyTokens }: Extract<SftEvent, { kind: "start" }>): void {
    if (resumedFrom !== null) this.#terminal.note(`Continuing ${folder} after step ${resumedFrom}.`);
    this.#terminal.note(
      `${plural(transcripts.training, "transcript")} to learn from, ${count(transcripts.validation)} set aside; ${plural(tokens, "token")} per epoch, ${count(policyTokens)} of them the policy's.`,
    );
  }

  #picture(): ProgressPicture {
    const { progressColors: colors, columns } = this.#terminal;
    const rate = this.#tokensPerSecond === undefined ? "" : `, ${count(this.#tokensPerSecond)} tokens/s`;
    const left = this.#secondsLeft === undefined ? "" : `, ${duration(this.#secondsLeft * 1000)} of training left`;
    const time = duration(this.#now() - this.#startedMs) + rate + left;
    const share = this.#steps > 0 ? this.#done / this.#steps : 0;
    const width = Math.min(60, Math.max(10, columns - 42));
    const curve = (name: string, values: readonly number[], paint: (text: string) => string): string =>
      `  ${name.padEnd(24)}${latest(values).padStart(8)}  ${paint(sparkline(values, width, Math.max(...values, 1e-9)))}`;
    return {
      lines: [
        `Step ${this.#done}/${this.#steps} ${colors.cyan(bar(share, 24))} ${time}`,
        curve("loss, training", this.#training, colors.yellow),
        curve("loss, set aside", this.#validation, colors.green),
        colors.dim(`  ${this.#activity}`),
      ],
      plain: [
        `step ${this.#done}/${this.#steps}`,
        `loss ${latest(this.#training)}`,
        `set aside ${latest(this.#validation)}`,
        time,
        this.#activity,
      ].join(", "),
    };
  }
}

/** Nats per token. */
function latest(values: readonly number[]): string {
  return values.length > 0 ? values[values.length - 1].toFixed(3) : "–";
}
