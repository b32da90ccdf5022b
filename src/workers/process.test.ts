import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
import { sourceArguments } from "../../test/transpiled-sources.js";
import { UserError } from "../errors.js";
import type { EchoTask } from "./echo.test-support.js";
import { OutOfMemory, WorkerProcess } from "./process.js";
import { WorkerGone } from "./thread.js";

const opened: WorkerProcess<EchoTask, string | number>[] = [];

function open(memoryMb = 1024): WorkerProcess<EchoTask, string | number> {
  const module = new URL("./echo.test-support", import.meta.url);
  const worker = new WorkerProcess<EchoTask, string | number>({ name: "echo", module, memoryMb });
  opened.push(worker);
  return worker;
}

afterEach(() => Promise.all(opened.splice(0).map((worker) => worker.close())));

describe("WorkerProcess", () => {
  it("does tasks, tells what they threw, and goes on", async () => {
    const worker = open();
    const answers = await Promise.all(["a", "b"].map((say) => worker.run({ say })));
    expect(answers).toEqual(["a", "b"]);
    await expect(worker.run({ fail: "no such thing", isUserError: true })).rejects.toThrow(UserError);
    expect(await worker.run({ sum: new Float32Array([1, 2, 3.5]) })).toBe(6.5);
  });

  it.each(["heap", "buffers"] as const)("ends when its %s take too much", async (kind) => {
    const worker = open(kind === "heap" ? 200 : 400);
    await worker.run({ say: "ready" });
    await expect(worker.run({ fill: kind })).rejects.toBeInstanceOf(OutOfMemory);
    await expect(worker.run({ say: "x" })).rejects.toBeInstanceOf(OutOfMemory);
  });

  it("has the memory that it was given, whatever heap the caller has", async () => {
    vi.stubEnv("NODE_OPTIONS", "--max-old-space-size=64");
    const worker = open(4096);
    vi.unstubAllEnvs();
    expect(await worker.run({ fill: "heap" })).toBe(50);
  });

  it("fails what is under way when it is closed or its caller leaves", async () => {
    const worker = open();
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const left = worker.run({ untilCancelled: true }, { signal: controller.signal });
    controller.abort(reason);
    await expect(left).rejects.toBe(reason);
    const running = expect(worker.run({ say: "late" })).rejects.toBeInstanceOf(WorkerGone);
    await worker.close();
    await running;
    await worker.close();
  });

  it("ends with the process that started it, and does not keep it alive", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, sourceArguments("workers/orphan.test-support.ts"));
    const child = Number(stdout);
    expect(child).toBeGreaterThan(0);
    const isAlive = (): boolean => {
      try {
        return process.kill(child, 0);
      } catch {
        return false;
      }
    };
    await vi.waitFor(() => expect(isAlive()).toBe(false), { timeout: 20_000 });
  });
});
