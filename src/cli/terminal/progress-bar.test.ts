import { expect, it } from "vitest";
import { ProgressBar } from "./progress-bar.js";
import { Terminal } from "./terminal.js";

it("shows share, rate and time left, and leaves out of the rate what was done before", () => {
  let now = 0;
  let text = "";
  const sink = { write: (piece: string) => (text += piece) };
  const terminal = new Terminal({ json: true, stdout: sink, stderr: sink, environment: {}, logMs: 0 });
  const bar = new ProgressBar(terminal, { label: "Reading", total: 100, unit: "files", from: 40, now: () => now });
  now = 10_000;
  bar.update(50, "of a shelf");
  bar.stop();
  expect(text.split("\n")[0]).toBe("Reading: 40 %, 40/100 files");
  expect(text.split("\n")[1]).toBe("Reading: 50 %, 50/100 files, 1/s, 50 s left, of a shelf");
});
