/** @file The worker's side of a pool. */
import { parentPort, workerData } from "node:worker_threads";
import { readyId, toFailure } from "./messages.js";
import type { Reply, TaskMessage, WorkerStart } from "./messages.js";

export interface Handler<Task, Answer> {
  run(task: Task): Promise<Answer> | Answer;
  /** Buffers of an answer that are handed over instead of copied. */
  transfer?(answer: Answer): ArrayBuffer[];
}

/**
 * Opens a handler from the data that the pool was given, then does one task after another. A module that a pool starts calls this once,
 * at its top level.
 */
export async function serveTasks<Data, Task, Answer>(
  open: (data: Data) => Promise<Handler<Task, Answer>> | Handler<Task, Answer>,
): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error("internal: serveTasks runs in workers only");
  const send = (reply: Reply, transfer: ArrayBuffer[] = []): void => port.postMessage(reply, transfer);
  let handler: Handler<Task, Answer>;
  try {
    handler = await open((workerData as WorkerStart).data as Data);
  } catch (error) {
    send({ id: readyId, failure: toFailure(error) });
    return;
  }
  let last: Promise<void> = Promise.resolve();
  const work = async ({ id, task }: TaskMessage): Promise<void> => {
    try {
      const answer = await handler.run(task as Task);
      send({ id, answer }, handler.transfer?.(answer) ?? []);
    } catch (error) {
      send({ id, failure: toFailure(error) });
    }
  };
  port.on("message", (message: TaskMessage) => {
    last = last.then(() => work(message));
  });
  send({ id: readyId, answer: null });
}
