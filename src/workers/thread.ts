/** @file One worker thread: it is started, given tasks, and ended. */
import { once } from "node:events";
import { MessageChannel, Worker, type MessagePort } from "node:worker_threads";
import "../telemetry.js";
import { orAborted } from "../async.js";
import { fromFailure, readyId } from "./messages.js";
import type { Reply, Request, WorkerStart } from "./messages.js";

export interface ThreadOptions {
  /** For error messages: "bm25". */
  name: string;
  /** The module that calls `serveTasks`, without its ending: `new URL("./score-worker", import.meta.url)`. */
  module: URL;
  /** What the worker is opened with: cloned, apart from SharedArrayBuffers, which all threads see. */
  data: unknown;
  /** Size of the heap's nursery. A worker that allocates much spares its collector time with a larger one. Default: Node's. */
  youngGenerationMb?: number;
  /**
   * Whether the worker calls into native code that blocks it. A thread that is terminated in such a call takes the whole process with it (SIGABRT), so this one is
   * asked to end itself between two calls. Default false: the worker is ended at once, whatever it does.
   */
  isNative?: boolean;
}

export interface RunOptions {
  signal?: AbortSignal;
  /** Buffers of the task that are handed over instead of copied. */
  transfer?: ArrayBuffer[];
}

/** Where the answer of a task goes. */
export interface Receiver {
  resolve(answer: unknown): void;
  reject(reason: unknown): void;
}

/** Those with native code that have not ended. */
const nativeThreads = new Set<{ close(): Promise<void> }>();

/** Closes all workers of this process that may be in native code: before it ends, since it would end them in the middle of a call. */
export async function closeNativeWorkers(): Promise<void> {
  await Promise.all([...nativeThreads].map((thread) => thread.close()));
}

/** A worker that died or was closed with tasks under way. */
export class WorkerGone extends Error {}

export class WorkerThread<Task, Answer, Ready = unknown> {
  /** What the handler says of itself once it is open. Rejects with what its opening threw. */
  readonly ready: Promise<Ready>;
  readonly #name: string;
  readonly #worker: Worker;
  readonly #onGone: () => void;
  readonly #exit: Promise<unknown>;
  /** Asks the worker to end itself; undefined where it may be ended at any moment. */
  readonly #end: MessagePort | undefined;
  readonly #receivers = new Map<number, Receiver>();
  #nextId = 0;
  #gone: WorkerGone | undefined;

  /** @param onGone called when the worker dies without being closed, before its tasks fail */
  constructor(options: ThreadOptions, onGone = (): void => {}) {
    this.#name = options.name;
    this.#onGone = onGone;
    const channel = options.isNative ? new MessageChannel() : undefined;
    this.#end = channel?.port1;
    this.#worker = startWorker(options, channel?.port2);
    this.#exit = once(this.#worker, "exit").catch(() => {});
    if (options.isNative) {
      nativeThreads.add(this);
      void this.#exit.then(() => nativeThreads.delete(this));
    }
    this.ready = new Promise((resolve, reject) => {
      this.#receivers.set(readyId, { resolve: resolve as Receiver["resolve"], reject });
    });
    // Callers that give it tasks without waiting for this learn of the failure from the tasks.
    this.ready.catch(() => {});
    this.#worker.on("message", (replies: readonly Reply[]) => {
      for (const reply of replies) this.#settle(reply);
    });
    this.#worker.on("error", (error) => this.#died(`has failed: ${error.message}`, error));
    this.#worker.on("exit", (status) => this.#died(`has stopped with status ${status}`));
  }

  /** Tasks that the worker has and has not answered. */
  get load(): number {
    return this.#receivers.size;
  }

  /**
   * Does a task.
   * @throws what the task threw; `WorkerGone` when the worker has died or was closed; the signal's reason. A task that is cancelled so may
   * still run to its end, unless its handler listens.
   */
  run(task: Task, { signal, transfer = [] }: RunOptions = {}): Promise<Answer> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    let id = readyId;
    const answer = new Promise<Answer>((resolve, reject) => {
      id = this.send(task, transfer, { resolve: resolve as Receiver["resolve"], reject });
    });
    return signal === undefined ? answer : orAborted(answer, signal, () => this.cancel(id));
  }

  /** Gives the worker a task, whose answer goes to `receiver`. @returns its number */
  send(task: Task, transfer: ArrayBuffer[], receiver: Receiver): number {
    const id = this.#nextId++;
    if (this.#gone !== undefined) {
      receiver.reject(this.#gone);
      return id;
    }
    // A worker under way keeps the process alive, an idle one does not.
    if (this.#receivers.size === 0) this.#worker.ref();
    this.#receivers.set(id, receiver);
    try {
      this.#worker.postMessage({ id, task } satisfies Request, transfer);
    } catch (error) {
      this.#take(id);
      receiver.reject(error);
    }
    return id;
  }

  /** Tells the worker that no caller waits for a task. A task that has not begun is dropped. */
  cancel(id: number): void {
    if (this.#receivers.has(id)) this.#worker.postMessage({ cancel: id } satisfies Request);
  }

  /** Ends the worker and waits for its end; tasks under way fail. */
  async close(): Promise<void> {
    this.#fail(new WorkerGone(`The ${this.#name} worker has stopped: it was closed.`));
    if (this.#end === undefined) await this.#worker.terminate();
    else {
      // The worker is waited for, so it keeps the process alive until then.
      this.#worker.ref();
      this.#end.postMessage("end");
      await this.#exit;
    }
  }

  #settle(reply: Reply): void {
    const receiver = this.#take(reply.id);
    if ("answer" in reply) return receiver?.resolve(reply.answer);
    receiver?.reject(fromFailure(reply.failure));
    if (reply.id === readyId) void this.close();
  }

  #take(id: number): Receiver | undefined {
    const receiver = this.#receivers.get(id);
    this.#receivers.delete(id);
    // A worker that is being ended is waited for.
    if (this.#receivers.size === 0 && this.#gone === undefined) this.#worker.unref();
    return receiver;
  }

  #died(why: string, cause?: Error): void {
    if (this.#gone !== undefined) return;
    this.#fail(new WorkerGone(`The ${this.#name} worker ${why}.`, { cause }), this.#onGone);
  }

  #fail(error: WorkerGone, first = (): void => {}): void {
    this.#gone ??= error;
    const receivers = [...this.#receivers.values()];
    this.#receivers.clear();
    first();
    for (const { reject } of receivers) reject(error);
  }
}

/** From the sources, a small file lets the worker read TypeScript: Node 20 does not hand tsx's loader to workers. */
function startWorker({ module, data, youngGenerationMb }: ThreadOptions, end: MessagePort | undefined): Worker {
  const isSource = import.meta.url.endsWith(".ts");
  const address = `${module.href}.${isSource ? "ts" : "js"}`;
  const entry = isSource ? new URL("./boot.mjs", import.meta.url) : new URL(address);
  const resourceLimits = youngGenerationMb === undefined ? {} : { maxYoungGenerationSizeMb: youngGenerationMb };
  return new Worker(entry, {
    workerData: { module: address, data, end } satisfies WorkerStart,
    transferList: end === undefined ? [] : [end],
    resourceLimits,
  });
}
