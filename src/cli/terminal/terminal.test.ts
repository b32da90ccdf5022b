import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { toEvaluation } from "../../eval/evaluation.js";
import type { TrainEvent } from "../../train/run.js";
import {
  bar,
  bytes,
  count,
  duration,
  fitColumns,
  fitTable,
  foldColumns,
  percent,
  plural,
  sparkline,
  table,
  visibleWidth,
} from "./format.js";
import { ProgressBar } from "./progress-bar.js";
import { Terminal, type Sink } from "./terminal.js";
import { TrainingPanel } from "./training-panel.js";

class Recorder implements Sink {
  text = "";
  isTTY: boolean;
  columns = 80;

  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

function recordedTerminal(options: { isTTY?: boolean; json?: boolean; environment?: NodeJS.ProcessEnv } = {}) {
  const stdout = new Recorder(options.isTTY);
  const stderr = new Recorder(options.isTTY);
  const clock = { ms: 0 };
  const terminal = new Terminal({
    json: options.json ?? false,
    stdout,
    stderr,
    environment: options.environment ?? {},
    now: () => clock.ms,
  });
  return { terminal, stdout, stderr, clock };
}

describe("format", () => {
  it.each([
    [900, "0.9 s"],
    [9_960, "10 s"],
    [59_600, "1 m 00 s"],
    [83_000, "1 m 23 s"],
    [3_725_000, "1 h 02 m"],
  ])("reads %d ms as %s", (ms, text) => expect(duration(ms)).toBe(text));

  it("reads counts, sizes and shares", () => {
    expect([count(1234567), bytes(900), bytes(513.7), bytes(12_582_912), percent(0.9344)]).toEqual([
      "1,234,567",
      "900 B",
      "514 B",
      "12.0 MB",
      "93.4 %",
    ]);
  });

  it("aligns columns whatever the colour codes", () => {
    const red = "\x1b[31mred\x1b[39m";
    expect(
      table([
        ["", "before"],
        [red, "0.01"],
        ["longer", "0.9"],
      ]),
    ).toEqual(["        before", `${red}       0.01`, "longer     0.9"]);
  });

  it("cuts a coloured line to the columns and closes the colour", () => {
    const cut = fitColumns("\x1b[31mabcdefgh\x1b[39m", 5);
    expect(visibleWidth(cut)).toBe(5);
    expect(cut).toBe("\x1b[31mabcd…\x1b[0m");
    expect(fitColumns("abc", 3)).toBe("abc");
  });

  it.each<[text: string, columns: number, lines: string[]]>([
    ["Reading 34 %  12/40, 3 s left", 80, ["Reading 34 %  12/40, 3 s left"]],
    ["Reading 34 %  12/40, 3 s left", 16, ["Reading 34 %", "    12/40, 3 s", "    left"]],
    ["  reward      0.250  searches 1.50", 20, ["  reward      0.250", "    searches 1.50"]],
    ["abcdefghijkl 7", 8, ["abcdefg…", "  7"]],
    ["\x1b[2mone two\x1b[22m", 5, ["\x1b[2mone", " two\x1b[22m"]],
    ["", 5, [""]],
  ])("folds %j to %i columns and loses no number", (text, columns, lines) => {
    expect(foldColumns(text, columns)).toEqual(lines);
  });

  it("makes paragraphs of a table that is too wide", () => {
    const rows = [
      ["2 questions", "hit@1", "hit@10"],
      ["bm25", "0.500", "0.750"],
    ];
    expect(fitTable(rows, 40)).toEqual(table(rows));
    expect(fitTable(rows, 20)).toEqual(["2 questions", "bm25", "  hit@1   0.500", "  hit@10  0.750"]);
  });

  it.each([
    [1, "1 passage"],
    [0, "0 passages"],
    [1200, "1,200 passages"],
  ])("counts %i", (value, text) => expect(plural(value, "passage")).toBe(text));

  it("draws bars", () => {
    expect(sparkline([0, 0.5, 1, 2], 3)).toBe("▅██");
    expect(bar(0.5, 4)).toBe("██░░");
    expect(bar(2, 2)).toBe("██");
  });
});

describe("Terminal", () => {
  it("keeps stdout for one JSON object under --json", () => {
    const { terminal, stdout, stderr } = recordedTerminal({ json: true });
    terminal.print("for people");
    terminal.note("a note");
    terminal.answer({ em: 1 });
    expect(stdout.text).toBe('{"em":1}\n');
    expect(stderr.text).toBe("for people\na note\n");
  });

  it("writes a plain line every few seconds where nothing can be redrawn, and the last moment at the end", () => {
    const { terminal, stderr, clock } = recordedTerminal();
    for (const second of [0, 1, 2, 3, 4, 5, 6]) {
      clock.ms = second * 1000;
      terminal.progress(() => ({ lines: ["x"], plain: `at ${second}` }));
    }
    terminal.endProgress();
    expect(stderr.text).toBe("at 0\nat 5\nat 6\n");
  });

  it("redraws in place on a terminal, and prints above the picture", () => {
    const { terminal, stdout, stderr, clock } = recordedTerminal({ isTTY: true });
    terminal.progress(() => ({ lines: ["one", "two"], plain: "" }));
    clock.ms = 1000;
    terminal.progress(() => ({ lines: ["three"], plain: "" }));
    terminal.print("result");
    expect(stderr.text).toBe("one\ntwo\n\x1b[2A\r\x1b[Jthree\n\x1b[1A\r\x1b[J");
    expect(stdout.text).toBe("result\n");
  });

  it("folds what a narrow terminal has no room for, and erases all of it", () => {
    const { terminal, stderr, clock } = recordedTerminal({ isTTY: true });
    stderr.columns = 13;
    terminal.progress(() => ({ lines: ["Reading 34 % 12/40"], plain: "" }));
    clock.ms = 1000;
    terminal.progress(() => ({ lines: ["Reading"], plain: "" }));
    expect(stderr.text).toBe("Reading 34 %\n   12/40\n\x1b[2A\r\x1b[JReading\n");
    terminal.endProgress();
  });

  describe("in a long step", () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());

    function passing() {
      const { terminal, stderr, clock } = recordedTerminal();
      const pass = (seconds: number): void => {
        for (let second = 0; second < seconds; second++) {
          clock.ms += 1000;
          vi.advanceTimersByTime(1000);
        }
      };
      return { terminal, stderr, clock, pass };
    }

    it("shows the last moment again, with the time as it is then", () => {
      const { terminal, stderr, clock, pass } = passing();
      terminal.progress(() => ({ lines: [], plain: `learning, ${clock.ms / 1000} s` }));
      pass(35);
      terminal.endProgress();
      pass(35);
      expect(stderr.text).toBe("learning, 0 s\nlearning, 10 s\nlearning, 20 s\nlearning, 30 s\n");
    });

    it("says that it goes on where there is nothing else to say, and nothing when it was quick", () => {
      const { terminal, stderr, pass } = passing();
      terminal.waiting("Opening the model");
      pass(9);
      terminal.endProgress();
      expect(stderr.text).toBe("");
      terminal.waiting("Opening the model");
      pass(25);
      terminal.progress(() => ({ lines: [], plain: "ready" }));
      terminal.endProgress();
      expect(stderr.text).toBe("Opening the model: 10 s\nOpening the model: 20 s\nready\n");
    });
  });

  it.each([
    [{ isTTY: true }, true],
    [{ isTTY: false }, false],
    [{ isTTY: true, environment: { NO_COLOR: "1" } }, false],
    [{ isTTY: false, environment: { FORCE_COLOR: "1" } }, true],
    [{ isTTY: true, environment: { TERM: "dumb" } }, false],
  ])("with %j colours: %s", (options, expected) => {
    expect(recordedTerminal(options).terminal.colors.isColorSupported).toBe(expected);
  });
});

describe("ProgressBar", () => {
  it("shows rate and time left", () => {
    const { terminal, stderr, clock } = recordedTerminal();
    const progress = new ProgressBar(terminal, {
      label: "Indexing",
      total: 400,
      unit: "passage",
      now: () => clock.ms,
    });
    clock.ms = 10_000;
    progress.update(100);
    clock.ms = 12_000;
    progress.update(400);
    progress.stop();
    expect(stderr.text.split("\n")).toEqual([
      "Indexing: 0 %, 0/400 passages",
      "Indexing: 25 %, 100/400 passages, 10/s, 30 s left",
      "Indexing: 100 %, 400/400 passages, 33/s, in 12 s",
      "",
    ]);
  });
});

describe("TrainingPanel", () => {
  const evaluation = (
    temperature: number,
    value: number,
    phase: "validation" | "before" = "validation",
  ): TrainEvent => ({
    kind: "evaluation",
    phase,
    step: 0,
    evaluation: { ...toEvaluation([], { temperature, seconds: 1 }), exactMatch: { value, low: 0, high: 1 } },
  });
  const step: TrainEvent = {
    kind: "step",
    step: 2,
    steps: 10,
    metrics: { "reward/mean": 0.25, "em/train": 0.2, "searches/perQuestion": 1.5 },
    groups: [],
    secondsLeft: 80,
  };

  it("says in one line whether it learns and how long it takes", () => {
    const { terminal, stderr, clock } = recordedTerminal();
    const panel = new TrainingPanel(terminal, () => clock.ms);
    panel.onEvent(evaluation(0, 0.01));
    panel.onEvent(evaluation(1, 0.05));
    clock.ms = 20_000;
    panel.onEvent(step);
    panel.stop();
    expect(stderr.text.trimEnd().split("\n").at(-1)).toBe(
      "step 2/10, reward 0.250, exact match 20.0 %, searches 1.50, validation 1.0 %, validation at T=1 5.0 %, 20 s, 1 m 20 s of training left, beginning the next step",
    );
  });

  it("tells the test before training at once, and takes it for no validation", () => {
    const { terminal, stderr, clock } = recordedTerminal();
    const panel = new TrainingPanel(terminal, () => clock.ms);
    panel.onEvent(evaluation(0, 0.836, "before"));
    clock.ms = 20_000;
    panel.onEvent(step);
    panel.stop();
    expect(stderr.text).toContain("Before training, greedy: 83.6 % of 0 test questions answered exactly right.\n");
    expect(stderr.text).not.toContain("validation");
  });

  it("says what it does before the first step, and that it learns when all attempts are made", () => {
    const { terminal, stderr, clock } = recordedTerminal();
    const panel = new TrainingPanel(terminal, () => clock.ms);
    clock.ms = 6_000;
    panel.onEvent({ kind: "progress", phase: "rollout", step: 0, done: 3, total: 4 });
    clock.ms = 12_000;
    panel.onEvent({ kind: "progress", phase: "rollout", step: 0, done: 4, total: 4 });
    panel.stop();
    expect(stderr.text.trimEnd().split("\n")).toEqual([
      "0.0 s, starting",
      "6.0 s, attempting questions 3/4",
      "12 s, learning",
    ]);
  });

  it("has one line for the collapse watch, and prints what it says", () => {
    const { terminal, stderr, clock } = recordedTerminal({ isTTY: true, environment: { NO_COLOR: "1" } });
    const panel = new TrainingPanel(terminal, () => clock.ms);
    panel.onEvent(step);
    expect(stderr.text).toMatch(/collapse watch +nothing to report/);
    const open = [{ signal: "format", severity: "warn", sinceStep: 5, firstStep: 7, lastStep: 7 }] as const;
    const messages = ["Step 7: the format breaks."];
    panel.onEvent({ kind: "watch", step: 7, open: [...open], rollbacks: 1, learningRateScale: 0.5, messages });
    clock.ms = 10_000;
    panel.onEvent(step);
    panel.stop();
    expect(stderr.text).toContain("Step 7: the format breaks.");
    expect(stderr.text).toMatch(/collapse watch +warn: format \(1 rolled back, learning rate ×0.5\)/);
  });

  it("draws curves on a terminal", () => {
    const { terminal, stderr, clock } = recordedTerminal({ isTTY: true, environment: { NO_COLOR: "1" } });
    const panel = new TrainingPanel(terminal, () => clock.ms);
    panel.onEvent(evaluation(0, 0));
    panel.onEvent(evaluation(0, 1));
    panel.onEvent(step);
    panel.stop();
    const lines = stderr.text
      .split("\n")
      .slice(-7)
      .map((line) => line.trim());
    expect(lines).toContainEqual(expect.stringMatching(/^exact match, validation +100.0 % +▁█$/));
  });
});
