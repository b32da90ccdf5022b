import { expect, it } from "vitest";
import { ProgressBar } from "./progress-bar.js";
import type { ProgressBarOptions } from "./progress-bar.js";
import { Terminal } from "./terminal.js";

/** The lines of a bar that is at one place from the beginning and at another after so many milliseconds. */
function linesOf(options: ProgressBarOptions, [done, afterMs, detail]: [number, number, string?]): string[] {
  let now = 0;
  let text = "";
  const sink = { write: (piece: string) => (text += piece) };
  const terminal = new Terminal({ json: true, stdout: sink, stderr: sink, environment: {}, logMs: 0 });
  const bar = new ProgressBar(terminal, { ...options, now: () => now });
  now = afterMs;
  bar.update(done, detail);
  bar.stop();
  return text.split("\n");
}

it("shows share, rate and time left, and leaves out of the rate what was done before", () => {
  const options = { label: "Reading", total: 100, unit: "file", from: 40 };
  const lines = linesOf(options, [50, 10_000, "of a shelf"]);
  expect(lines[0]).toBe("Reading: 40 %, 40/100 files");
  expect(lines[1]).toBe("Reading: 50 %, 50/100 files, 1/s, 50 s left, of a shelf");
});

it.each<[number, string]>([
  [5 * 2 ** 20, "Fetching: 50 %, 5.0 MB/10.0 MB, 1.0 MB/s, 5.0 s left"],
  [10 * 2 ** 20, "Fetching: 100 %, 10.0 MB/10.0 MB, 2.0 MB/s, in 5.0 s"],
])("shows %d bytes in a unit that people read", (done, line) => {
  expect(linesOf({ label: "Fetching", total: 10 * 2 ** 20, unit: "bytes" }, [done, 5_000])[1]).toBe(line);
});

it.each<[number, string]>([
  [0.5, "Merging: 50 %"],
  [1, "Merging: 100 %, in 2.0 s"],
])("shows of a share the percentage alone: %d", (done, line) => {
  const lines = linesOf({ label: "Merging", total: 1, unit: "share" }, [done, 2_000]);
  expect(lines.slice(0, 2)).toEqual(["Merging: 0 %", line]);
});
