/**
 * @file Everything that a verb writes goes through here. Results go to stdout (to stderr under `--json`, where stdout holds one JSON
 * object and nothing else); what strangers wrote can colour it at most; progress goes to stderr: redrawn in place on a terminal, a plain line every few seconds elsewhere.
 * A task that has nothing new to tell still shows that it goes on.
 */
import picocolors from "picocolors";
import { jsonLine, printable, printableInColour } from "../../printable.js";
import type { Notice } from "../../train/notices.js";
import { duration, foldColumns } from "./format.js";

type Colors = ReturnType<typeof picocolors.createColors>;

/** The part of a stream that is used here. */
export interface Sink {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

/** One moment of something that takes long. */
export interface ProgressPicture {
  /** For a terminal, redrawn in place. */
  lines: readonly string[];
  /** For a log: one line, without colour. */
  plain: string;
}

interface TerminalOptions {
  json: boolean;
  stdout?: Sink;
  stderr?: Sink;
  environment?: NodeJS.ProcessEnv;
  /** Milliseconds between two redraws, and between two lines of a log. */
  redrawMs?: number;
  logMs?: number;
  /** Milliseconds after which a moment is shown again, with its times as they are then, where nothing new has come. */
  heartbeatMs?: number;
  now?: () => number;
}

export class Terminal {
  readonly json: boolean;
  /** Colours of what `print` writes. */
  readonly colors: Colors;
  /** Colours of progress and notes. */
  readonly progressColors: Colors;
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #redraws: boolean;
  readonly #intervalMs: number;
  readonly #heartbeatMs: number;
  readonly #now: () => number;
  #drawnLines = 0;
  #lastShown = -Infinity;
  /** The task's last moment, and whether it is still to be shown. */
  #picture: (() => ProgressPicture) | undefined;
  #isPending = false;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: TerminalOptions) {
    const environment = options.environment ?? process.env;
    this.json = options.json;
    this.#stdout = options.stdout ?? process.stdout;
    this.#stderr = options.stderr ?? process.stderr;
    this.colors = picocolors.createColors(wantsColor(this.#resultSink, environment));
    this.progressColors = picocolors.createColors(wantsColor(this.#stderr, environment));
    this.#redraws = this.#stderr.isTTY === true && environment.TERM !== "dumb" && !environment.CI;
    this.#intervalMs = this.#redraws ? (options.redrawMs ?? 100) : (options.logMs ?? 5000);
    this.#heartbeatMs = options.heartbeatMs ?? (this.#redraws ? 1000 : 10_000);
    this.#now = options.now ?? Date.now;
  }

  /** Columns of the terminal that people look at; 100 where there is none. */
  get columns(): number {
    return this.#stderr.columns ?? this.#stdout.columns ?? 100;
  }

  /** A line of the result. */
  print(text = ""): void {
    this.#erase();
    this.#resultSink.write(`${printableInColour(text)}\n`);
  }

  /** A line about what is going on: never part of the result. */
  note(text: string): void {
    this.#erase();
    this.#stderr.write(`${printableInColour(text)}\n`);
  }

  /** What a verb's work tells a person beside its result; a warning in yellow. */
  notice({ kind, message }: Notice): void {
    this.note(kind === "warning" ? this.progressColors.yellow(message) : message);
  }

  /**
   * Shows a moment of a long task; too frequent calls are dropped, and then `picture` is not even drawn. It is drawn again while no other comes, until
   * `endProgress`.
   */
  progress(picture: () => ProgressPicture): void {
    this.#picture = picture;
    this.#isPending = true;
    this.#startHeartbeat();
    if (this.#now() - this.#lastShown >= this.#intervalMs) this.#show(picture());
  }

  /** Says, once it has taken a while, that a task goes on which has nothing to tell but its time; until `endProgress` or `progress`. */
  waiting(label: string): void {
    const began = this.#now();
    const line = (): string => `${label}: ${duration(this.#now() - began)}`;
    this.#picture = () => ({ lines: [line()], plain: line() });
    this.#isPending = false;
    this.#lastShown = began;
    this.#startHeartbeat();
  }

  /** Ends a long task: its last moment stays on the screen. */
  endProgress(): void {
    if (this.#picture !== undefined && this.#isPending) this.#show(this.#picture());
    clearInterval(this.#heartbeat);
    this.#heartbeat = this.#picture = undefined;
    this.#drawnLines = 0;
    this.#lastShown = -Infinity;
  }

  /** The machine's answer: the last line of stdout, one JSON object. */
  answer(value: object): void {
    this.#stdout.write(jsonLine(value));
  }

  get #resultSink(): Sink {
    return this.json ? this.#stderr : this.#stdout;
  }

  #startHeartbeat(): void {
    this.#heartbeat ??= setInterval(() => this.#beat(), this.#heartbeatMs).unref();
  }

  #beat(): void {
    if (this.#picture !== undefined && this.#now() - this.#lastShown >= this.#heartbeatMs / 2)
      this.#show(this.#picture());
  }

  #show(picture: ProgressPicture): void {
    this.#lastShown = this.#now();
    this.#isPending = false;
    if (!this.#redraws) {
      this.#stderr.write(`${printable(picture.plain)}\n`);
      return;
    }
    this.#erase();
    // One column is left free: a full line would wrap and spoil the count of lines to erase.
    const lines = picture.lines.flatMap((line) => foldColumns(printableInColour(line), this.columns - 1));
    this.#stderr.write(lines.map((line) => `${line}\n`).join(""));
    this.#drawnLines = lines.length;
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#stderr.write(`\x1b[${this.#drawnLines}A\r\x1b[J`);
    this.#drawnLines = 0;
  }
}

/** https://no-color.org: any non-empty NO_COLOR switches colour off, FORCE_COLOR on. */
function wantsColor(sink: Sink, environment: NodeJS.ProcessEnv): boolean {
  if (environment.NO_COLOR) return false;
  if (environment.FORCE_COLOR && environment.FORCE_COLOR !== "0") return true;
  return sink.isTTY === true && environment.TERM !== "dumb";
}
