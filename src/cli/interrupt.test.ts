import { spawn } from "node:child_process";
import { describe, expect, it } from "vitest";
import { sourceArguments } from "../../test/transpiled-sources.js";

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Sends the signal as soon as the worker is held. */
function interrupted(heldMs: number, signal: NodeJS.Signals): Promise<Ended> {
  const child = spawn(process.execPath, [...sourceArguments("cli/interrupt-child.test-support.ts"), `${heldMs}`]);
  let [stdout, stderr] = ["", ""];
  child.stderr.on("data", (text) => (stderr += String(text)));
  child.stdout.on("data", (text) => {
    if (stdout === "") child.kill(signal);
    stdout += String(text);
  });
  return new Promise((resolve) => child.on("close", (status, by) => resolve({ status, signal: by, stdout, stderr })));
}

describe("Ctrl-C while a worker is in native code", () => {
  it("waits until the worker is out of it, and ends with status 130", async () => {
    expect(await interrupted(500, "SIGTERM")).toEqual({
      ...{ status: 130, signal: null },
      ...{ stdout: "busy, waited", stderr: "Interrupted.\n" },
    });
  });

  it("waits no longer than two seconds, dies of the signal then, and cleans up before", async () => {
    const started = performance.now();
    expect(await interrupted(60_000, "SIGINT")).toEqual({
      ...{ status: null, signal: "SIGINT" },
      ...{ stdout: "busy, cut off", stderr: "Interrupted.\n" },
    });
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});
