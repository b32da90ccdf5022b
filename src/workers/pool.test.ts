import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { EchoTask } from "./echo.test-support.js";
import { WorkerPool } from "./pool.js";
import { WorkerGone } from "./thread.js";

const opened: WorkerPool<EchoTask, string | number>[] = [];

async function open(workers: number, data: object = { prefix: "> " }): Promise<WorkerPool<EchoTask, string | number>> {
  const module = new URL("./echo.test-support", import.meta.url);
  const pool = await WorkerPool.open<EchoTask, string | number>({ name: "echo", module, workers, data });
  opened.push(pool);
  return pool;
}

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((pool) => pool.close()));
});

describe("WorkerPool", () => {
  it("gives every task its own answer", async () => {
    const pool = await open(2);
    const words = Array.from({ length: 40 }, (_, index) => `word ${index}`);
    const answers = await Promise.all(words.map((say, index) => pool.run({ wait: index % 3, say })));
    expect(answers).toEqual(words.map((word) => `> ${word}`));
  });

  it("tells what a task threw, and goes on", async () => {
    const pool = await open(1);
    await expect(pool.run({ fail: "no such thing" })).rejects.toThrow("no such thing");
    expect(await pool.run({ say: "still here" })).toBe("> still here");
  });

  it("hands buffers over", async () => {
    const pool = await open(1);
    const numbers = new Float32Array([1, 2, 3.5]);
    expect(await pool.run({ sum: numbers }, { transfer: [numbers.buffer] })).toBe(6.5);
    expect(numbers.length).toBe(0);
  });

  it("fails the tasks of a worker that dies, and replaces it", async () => {
    const pool = await open(1);
    await expect(pool.run({ die: true })).rejects.toBeInstanceOf(WorkerGone);
    expect(await pool.run({ say: "again" })).toBe("> again");
  });

  it("a pool whose dead worker could not be replaced says why, and tries again with the next task", async () => {
    const data: { prefix: string; refuse?: string } = { prefix: "> " };
    const pool = await open(1, data);
    data.refuse = "no memory left";
    await expect(pool.run({ die: true })).rejects.toBeInstanceOf(WorkerGone);
    await expect(pool.run({ say: "at once" })).rejects.toThrow("no memory left");
    await expect(pool.run({ say: "later" })).rejects.toThrow("no memory left");
    delete data.refuse;
    expect(await pool.run({ say: "again" })).toBe("> again");
  });

  it("a pool that is closed while a worker starts leaves no worker behind", async () => {
    const pool = await open(1);
    const listening = vi.spyOn(Worker.prototype, "on");
    const newest = (): Worker => listening.mock.contexts.at(-1) as Worker;
    await expect(pool.run({ die: true })).rejects.toBeInstanceOf(WorkerGone);
    const { threadId } = newest();
    await pool.close();
    expect(threadId).toBeGreaterThan(0);
    // A thread that has ended has no number.
    expect(newest().threadId).toBe(-1);
  });

  it("says why a worker did not open", async () => {
    await expect(open(2, { prefix: "", refuse: "no model here" })).rejects.toThrow("no model here");
  });

  it("a caller who leaves gets its own reason at once, and a task that waits is not done", async () => {
    const pool = await open(1);
    const busy = [pool.run({ wait: 60, say: "a" }), pool.run({ wait: 60, say: "b" })];
    const controller = new AbortController();
    const waiting = pool.run({ die: true }, { signal: controller.signal });
    const reason = new Error("changed my mind");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(await Promise.all(busy)).toEqual(["> a", "> b"]);
    expect(await pool.run({ say: "alive" })).toBe("> alive");
    await expect(pool.run({ say: "x" }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("closing fails what is under way and what comes later", async () => {
    const pool = await open(1);
    const running = expect(pool.run({ wait: 5_000, say: "late" })).rejects.toBeInstanceOf(WorkerGone);
    await pool.close();
    await running;
    await expect(pool.run({ say: "x" })).rejects.toBeInstanceOf(WorkerGone);
    await pool.close();
  });

  it("a process waits for a pool to close, also while an answer is on its way", async () => {
    const script = fileURLToPath(new URL("./closing.test-support.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script]);
    expect(stdout).toBe("failed, closed");
  });
});
