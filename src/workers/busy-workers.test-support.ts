/** @file The threads that a piece of work is handed to, for tests that end one as a crash would. */
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { vi } from "vitest";

/** Starts `work` and returns, as soon as a part of it was sent to a worker, that worker and the work's promise. */
export async function busyWorker<T>(work: () => Promise<T>): Promise<{ worker: Worker; outcome: Promise<T> }> {
  const sent = vi.spyOn(Worker.prototype, "postMessage");
  try {
    const outcome = work();
    // Whoever awaits it later is told; until then a failure is no unhandled one.
    outcome.catch(() => undefined);
    while (sent.mock.contexts.length === 0) await setImmediate();
    return { worker: sent.mock.contexts[0] as Worker, outcome };
  } finally {
    sent.mockRestore();
  }
}
