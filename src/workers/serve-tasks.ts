/** @file The worker's side: tasks come in, answers go out. */
import { parentPort, workerData } from "node:worker_threads";
import { readyId, toFailure } from "./messages.js";
import type { Reply, Request, WorkerStart } from "./messages.js";

export interface Handler<Task, Answer, Ready = unknown> {
  /** What `WorkerThread.ready` resolves to. */
  ready?: Ready;
  /** Whether each task begins as soon as it comes. Default: one task after another. */
  isConcurrent?: boolean;
  run(task: Task, call: Call): Promise<Answer> | Answer;
  /** Buffers of an answer that are handed over instead of copied. */
  transfer?(answer: Answer): ArrayBuffer[];
}

/** A task from its arrival to its answer. */
export class Call {
  #controller: AbortController | undefined;
  #isCancelled = false;

  /** Aborts when the caller no longer waits. Made on demand: most tasks are too short to ask. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#isCancelled) this.#controller.abort();
    return this.#controller.signal;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#controller?.abort();
  }
}

/**
 * Opens a handler from the data that the worker was started with, then does tasks. A module that runs in a worker calls this once, at its
 * top level.
 */
export async function serveTasks<Data, Task, Answer>(
  open: (data: Data) => Promise<Handler<Task, Answer>> | Handler<Task, Answer>,
): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error("internal: serveTasks runs in workers only");
  const { data, end } = workerData as WorkerStart;
  // Between two turns of the event loop no native code is under way in this thread.
  end?.on("message", () => process.exit()).unref();
  let handler: Handler<Task, Answer>;
  try {
    handler = await open(data as Data);
  } catch (error) {
    port.postMessage([{ id: readyId, failure: toFailure(error) } satisfies Reply]);
    return;
  }
  const calls = new Map<number, Call>();
  const replies = new Replies((some, transfer) => port.postMessage(some, transfer), handler.isConcurrent ?? false);
  const work = async (id: number, task: Task, call: Call): Promise<void> => {
    try {
      if (call.isCancelled) throw new Error("cancelled before it began");
      const answer = await handler.run(task, call);
      replies.send({ id, answer }, handler.transfer?.(answer));
    } catch (error) {
      replies.send({ id, failure: toFailure(error) });
    } finally {
      calls.delete(id);
    }
  };
  let last: Promise<void> = Promise.resolve();
  port.on("message", (request: Request) => {
    if ("cancel" in request) return calls.get(request.cancel)?.cancel();
    const { id, task } = request;
    const call = new Call();
    calls.set(id, call);
    if (handler.isConcurrent) void work(id, task as Task, call);
    else last = last.then(() => work(id, task as Task, call));
  });
  port.postMessage([{ id: readyId, answer: handler.ready } satisfies Reply]);
}

/** Answers on their way. Those of one turn of the event loop may travel together: waking the other thread costs more than a message. */
class Replies {
  readonly #post: (replies: Reply[], transfer: ArrayBuffer[]) => void;
  readonly #areGathered: boolean;
  #waiting: Reply[] = [];
  #transfer: ArrayBuffer[] = [];

  constructor(post: (replies: Reply[], transfer: ArrayBuffer[]) => void, areGathered: boolean) {
    this.#post = post;
    this.#areGathered = areGathered;
  }

  send(reply: Reply, transfer: ArrayBuffer[] = []): void {
    if (!this.#areGathered) return this.#post([reply], transfer);
    this.#transfer.push(...transfer);
    if (this.#waiting.push(reply) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const [replies, transfer] = [this.#waiting, this.#transfer];
    [this.#waiting, this.#transfer] = [[], []];
    this.#post(replies, transfer);
  }
}
