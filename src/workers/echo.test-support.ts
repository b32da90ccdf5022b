/** @file A worker for the tests of pools and threads. */
import { UserError } from "../errors.js";
import { serveTasks, type Call } from "./serve-tasks.js";

export type EchoTask =
  | { say: string }
  | { wait: number; say: string }
  | { fail: string; isUserError?: boolean; code?: string }
  | { die: true }
  | { sum: Float32Array }
  | { untilCancelled: true }
  | { count: true }
  | { processId: true }
  /** Takes 20 MB after 20 MB, and tells after 1 GB. */
  | { fill: "heap" | "buffers" }
  /** Holds the thread for so many milliseconds, as native code does, and sets the first of `after` to 1 when it comes out. */
  | { block: number; after: Int32Array };

interface EchoData {
  prefix: string;
  refuse?: string;
  isConcurrent?: boolean;
}

await serveTasks(({ prefix = "", refuse, isConcurrent }: Partial<EchoData>) => {
  if (refuse !== undefined) throw new Error(refuse);
  let [begun, cancelled] = [0, 0];
  return {
    ready: { greeting: `${prefix}hello` },
    isConcurrent,
    async run(task: EchoTask, call: Call): Promise<string | number> {
      if ("count" in task) return `${begun} begun, ${cancelled} cancelled`;
      begun++;
      if ("untilCancelled" in task) {
        await new Promise<void>((resolve) => call.signal.addEventListener("abort", () => resolve(), { once: true }));
        return cancelled++;
      }
      if ("wait" in task) await new Promise((resolve) => setTimeout(resolve, task.wait));
      if ("fail" in task)
        throw Object.assign(new (task.isUserError ? UserError : Error)(task.fail), task.code && { code: task.code });
      if ("block" in task) {
        Atomics.store(task.after, 0, -1);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, task.block);
        Atomics.store(task.after, 0, 1);
      }
      if ("die" in task) process.exit(3);
      if ("processId" in task) return process.pid;
      if ("fill" in task) return fill(task.fill);
      if ("sum" in task) return task.sum.reduce((sum, value) => sum + value, 0);
      return "say" in task ? prefix + task.say : "";
    },
  };
});

async function fill(kind: "heap" | "buffers"): Promise<number> {
  const held: unknown[] = [];
  for (let step = 0; step < 50; step++) {
    held.push(kind === "heap" ? new Array<number>(2_500_000).fill(step + 0.5) : new Uint8Array(20e6).fill(1));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return held.length;
}
