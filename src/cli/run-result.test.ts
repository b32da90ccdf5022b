import { expect, it } from "vitest";
import type { TrainResult } from "../train/result.js";
import { printRun } from "./run-result.js";
import { Terminal } from "./terminal/terminal.js";

const ended: TrainResult = {
  ...{ folder: "/nowhere", status: "finished", steps: 12, seconds: 489, best: { step: 10, score: 0.9 } },
  ...{ before: null, after: null, peakMemoryMb: 1 },
};

it.each([
  ["out-of-time", "12 steps of 40, then its time was over (train.stopAfterSeconds), 8 m 09 s of training"],
  ["finished", "12 steps, 8 m 09 s of training"],
] as const)("says of a run whether its time ended it: %s", (status, expected) => {
  let text = "";
  const stdout = { isTTY: false, columns: 80, write: (more: string) => void (text += more) };
  const terminal = new Terminal({ json: false, stdout, stderr: stdout, environment: {} });
  printRun(terminal, { ...ended, status }, 40);
  expect(text).toContain(`Run  ${expected}, best checkpoint of step 10\n`);
});
