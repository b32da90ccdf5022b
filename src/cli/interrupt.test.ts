import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { describe, expect, it } from "vitest";
import { sourceArguments } from "../../test/transpiled-sources.js";
import { withDownloads } from "./fetch-model.js";
import { Interrupted } from "./interrupt.js";
import { Terminal } from "./terminal/terminal.js";

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Sends the signal as soon as the worker is held. */
function interrupted(heldMs: number, signal: NodeJS.Signals): Promise<Ended> {
  const child = spawn(process.execPath, [...sourceArguments("cli/interrupt-child.test-support.ts"), `${heldMs}`]);
  child.stdout.once("data", () => child.kill(signal));
  return ended(child);
}

function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let [stdout, stderr] = ["", ""];
  child.stderr.on("data", (text) => (stderr += String(text)));
  child.stdout.on("data", (text) => (stdout += String(text)));
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

describe("Ctrl-C while this thread is busy", () => {
  it("is heard although the work then fails by itself", async () => {
    const child = spawn(process.execPath, sourceArguments("cli/busy-child.test-support.ts"));
    const { status, stderr } = await ended(child);
    expect([status, stderr.split("\n").at(-2)]).toEqual([130, "Interrupted."]);
  });
});

describe("Ctrl-C while a model is looked up", () => {
  it("ends the verb although the lookup does not heed it", async () => {
    const sink = { write: () => true };
    const fetched = withDownloads(new Terminal({ json: false, stdout: sink, stderr: sink }), () => {
      process.emit("SIGTERM", "SIGTERM");
      return Promise.resolve("here");
    });
    await expect(fetched).rejects.toBeInstanceOf(Interrupted);
  });
});
