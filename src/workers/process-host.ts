/** @file The process's side of `WorkerProcess`: a thread does the tasks, while this one watches what the whole process takes of memory. */
import { outOfMemoryStatus, toFailure, type HostStart, type Reply } from "./messages.js";
import { WorkerThread } from "./thread.js";

/** Memory is looked at so often; what is taken meanwhile comes on top. */
const everyMs = 25;

function serve({ name, module, memoryMb }: HostStart): void {
  const address = new URL(module.replaceAll("\\", "/"), import.meta.url);
  // A process without its thread is of no use.
  const thread = new WorkerThread<unknown, unknown>({ name, module: address, data: {} }, () => process.exit(1));
  const send = (reply: Reply): void => void process.send?.(reply, undefined, undefined, () => undefined);
  process.on("message", ({ id, task }: { id: number; task: unknown }) => {
    thread.run(task).then(
      (answer) => send({ id, answer }),
      (error: unknown) => send({ id, failure: toFailure(error) }),
    );
  });
  // The process that asks handles Ctrl-C, and this one ends with it.
  process.on("SIGINT", () => undefined);
  process.on("disconnect", () => process.exit());
  setInterval(() => {
    if (process.memoryUsage.rss() > memoryMb * 2 ** 20) process.exit(outOfMemoryStatus);
  }, everyMs);
}

serve(JSON.parse(process.argv[2]) as HostStart);
