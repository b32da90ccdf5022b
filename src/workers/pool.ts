/**
 * @file Tasks for several workers that are all alike. Whatever scores, encodes or multiplies does so here, so that the thread that trains
 * and draws is never held up.
 */
import { onAbort } from "../async.js";
import { WorkerGone, WorkerThread, type Receiver, type RunOptions, type ThreadOptions } from "./thread.js";

interface PoolOptions extends ThreadOptions {
  /** Number of threads. */
  workers: number;
}

/** Tasks handed to one worker at a time: the next one waits in its inbox, so that no worker idles for a message's way back and forth. */
const mostLoad = 2;

interface Job<Task> extends Receiver {
  task: Task;
  transfer: ArrayBuffer[];
  /** Tells the task's worker that no caller waits for the task; undefined while the task is in the queue. */
  cancel?: () => void;
}

export class WorkerPool<Task, Answer> {
  readonly #options: PoolOptions;
  /** Those that are ready. */
  readonly #threads = new Set<WorkerThread<Task, Answer>>();
  readonly #starting = new Set<WorkerThread<Task, Answer>>();
  readonly #queue: Job<Task>[] = [];
  #isClosed = false;

  private constructor(options: PoolOptions) {
    this.#options = options;
  }

  /**
   * Starts the workers and waits until all are ready.
   * @throws what the first worker's opening threw
   */
  static async open<Task, Answer>(options: PoolOptions): Promise<WorkerPool<Task, Answer>> {
    const pool = new WorkerPool<Task, Answer>(options);
    try {
      await Promise.all(Array.from({ length: options.workers }, () => pool.#start()));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /**
   * Does a task on the worker with the least to do.
   * @throws what the task threw; `WorkerGone` when its worker died; the signal's reason (the task may still run to its end then)
   */
  run(task: Task, { signal, transfer = [] }: RunOptions = {}): Promise<Answer> {
    return new Promise<Answer>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      if (this.#isClosed) return reject(this.#closedError());
      let release = (): void => {};
      const job: Job<Task> = {
        task,
        transfer,
        resolve: (answer) => (release(), resolve(answer as Answer), this.#dispatch()),
        reject: (reason) => (release(), reject(reason as Error), this.#dispatch()),
      };
      if (signal !== undefined)
        release = onAbort(signal, (reason) => {
          const place = this.#queue.indexOf(job);
          if (place >= 0) this.#queue.splice(place, 1);
          job.cancel?.();
          reject(reason as Error);
        });
      this.#queue.push(job);
      this.#dispatch();
      // The replacement of the last worker did not open: with this task, another is tried.
      if (this.#threads.size === 0 && this.#starting.size === 0) this.#replace();
    });
  }

  /** Ends the workers; tasks under way fail. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const threads = [...this.#threads, ...this.#starting];
    this.#threads.clear();
    for (const job of this.#queue.splice(0)) job.reject(this.#closedError());
    await Promise.all(threads.map((thread) => thread.close()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#leastBusy();
      if (thread === undefined) return;
      const job = this.#queue.shift() as Job<Task>;
      const id = thread.send(job.task, job.transfer, job);
      job.cancel = () => thread.cancel(id);
    }
  }

  /** The worker with the least to do, unless all have enough. */
  #leastBusy(): WorkerThread<Task, Answer> | undefined {
    let best: WorkerThread<Task, Answer> | undefined;
    for (const thread of this.#threads) if (thread.load < (best?.load ?? mostLoad)) best = thread;
    return best;
  }

  /** Starts a worker and waits until it is ready. A worker that dies later is replaced. */
  async #start(): Promise<void> {
    const thread = new WorkerThread<Task, Answer>(this.#options, () => {
      if (this.#threads.delete(thread)) this.#replace();
    });
    this.#starting.add(thread);
    try {
      await thread.ready;
    } finally {
      this.#starting.delete(thread);
    }
    if (this.#isClosed) return thread.close();
    this.#threads.add(thread);
    this.#dispatch();
  }

  #replace(): void {
    if (this.#isClosed) return;
    this.#start().catch((error: unknown) => {
      if (this.#threads.size > 0 || this.#starting.size > 0) return;
      for (const job of this.#queue.splice(0)) job.reject(error);
    });
  }

  #closedError(): WorkerGone {
    return new WorkerGone(`The ${this.#options.name} worker has stopped: it was closed.`);
  }
}
