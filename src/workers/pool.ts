/**
 * @file Tasks for worker threads. Whatever scores, encodes or multiplies does so here, so that the thread that trains and draws is never
 * held up. Data given to the workers is cloned, apart from SharedArrayBuffers, which all of them see.
 */
import { Worker } from "node:worker_threads";
import { onAbort } from "../async.js";
import { fromFailure, readyId } from "./messages.js";
import type { Reply, WorkerStart } from "./messages.js";

export interface PoolOptions {
  /** For error messages: "bm25". */
  name: string;
  /** The module that calls `serveTasks`, without its ending: `new URL("./score-worker", import.meta.url)`. */
  module: URL;
  /** Number of threads. */
  workers: number;
  /** What each worker is opened with. */
  data: unknown;
}

export interface RunOptions {
  signal?: AbortSignal;
  /** Buffers of the task that are handed over instead of copied. */
  transfer?: ArrayBuffer[];
}

/** A worker that died, or a pool that was closed, with tasks under way. */
export class WorkerGone extends Error {}

/** Tasks handed to one worker at a time: the next one waits in its inbox, so that no worker idles for a message's way back and forth. */
const inFlight = 2;

interface Job {
  task: unknown;
  transfer: ArrayBuffer[];
  resolve: (answer: unknown) => void;
  reject: (reason: unknown) => void;
}

interface Seat {
  worker: Worker;
  jobs: Map<number, Job>;
}

export class WorkerPool<Task, Answer> {
  readonly #options: PoolOptions;
  readonly #seats: Seat[] = [];
  /** Workers that are not ready yet. */
  readonly #starting = new Set<Worker>();
  readonly #queue: Job[] = [];
  #nextId = 0;
  #closed = false;

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
      await Promise.all(Array.from({ length: options.workers }, () => pool.#seat()));
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
      if (this.#closed) return reject(this.#gone("is closed"));
      const release = onAbort(signal, (reason) => {
        const place = this.#queue.indexOf(job);
        if (place >= 0) this.#queue.splice(place, 1);
        reject(reason as Error);
      });
      const job: Job = {
        task,
        transfer,
        resolve: (answer) => (release(), resolve(answer as Answer)),
        reject: (reason) => (release(), reject(reason as Error)),
      };
      this.#queue.push(job);
      this.#hand();
      // The replacement of the last worker did not open: with this task, another is tried.
      if (this.#seats.length === 0 && this.#starting.size === 0) this.#replace();
    });
  }

  /** Ends the workers; tasks under way fail. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const error = this.#gone("is closed");
    for (const job of this.#queue.splice(0)) job.reject(error);
    const seats = this.#seats.splice(0);
    for (const { jobs } of seats) for (const job of jobs.values()) job.reject(error);
    await Promise.all([...seats.map(({ worker }) => worker), ...this.#starting].map((worker) => worker.terminate()));
  }

  #hand(): void {
    while (this.#queue.length > 0) {
      const free = this.#seats.filter(({ jobs }) => jobs.size < inFlight);
      if (free.length === 0) return;
      const seat = free.reduce((best, other) => (other.jobs.size < best.jobs.size ? other : best));
      const job = this.#queue.shift() as Job;
      const id = this.#nextId++;
      seat.jobs.set(id, job);
      seat.worker.ref();
      try {
        seat.worker.postMessage({ id, task: job.task }, job.transfer);
      } catch (error) {
        seat.jobs.delete(id);
        job.reject(error);
      }
    }
  }

  /** Starts one worker and waits until it is ready. A worker that dies later is replaced; its tasks fail. */
  #seat(): Promise<void> {
    const worker = startWorker(this.#options);
    this.#starting.add(worker);
    const seat: Seat = { worker, jobs: new Map() };
    return new Promise((resolve, reject) => {
      let isReady = false;
      const died = (why: string): void => {
        const error = this.#gone(why);
        this.#starting.delete(worker);
        if (!isReady) reject(error);
        const place = this.#seats.indexOf(seat);
        if (place < 0) return;
        this.#seats.splice(place, 1);
        for (const job of seat.jobs.values()) job.reject(error);
        this.#replace();
      };
      worker.on("message", (reply: Reply) => {
        if (reply.id !== readyId) return this.#settle(seat, reply);
        this.#starting.delete(worker);
        if ("failure" in reply) {
          reject(fromFailure(reply.failure));
          void worker.terminate();
          return;
        }
        isReady = true;
        if (this.#closed) {
          reject(this.#gone("is closed"));
          void worker.terminate();
          return;
        }
        // A pool that nobody closed does not keep the process alive; a task under way does.
        worker.unref();
        this.#seats.push(seat);
        resolve();
        this.#hand();
      });
      worker.on("error", (error) => died(`failed: ${error.message}`));
      worker.on("exit", (status) => died(`ended with status ${status}`));
    });
  }

  #replace(): void {
    if (this.#closed) return;
    this.#seat().catch((error: unknown) => {
      if (this.#closed || this.#seats.length > 0 || this.#starting.size > 0) return;
      for (const job of this.#queue.splice(0)) job.reject(error);
    });
  }

  #settle(seat: Seat, reply: Reply): void {
    const job = seat.jobs.get(reply.id);
    seat.jobs.delete(reply.id);
    // A worker that is being ended is waited for.
    if (seat.jobs.size === 0 && !this.#closed) seat.worker.unref();
    if ("failure" in reply) job?.reject(fromFailure(reply.failure));
    else job?.resolve(reply.answer);
    this.#hand();
  }

  #gone(why: string): WorkerGone {
    return new WorkerGone(`The ${this.#options.name} worker ${why}.`);
  }
}

function startWorker({ module, data }: PoolOptions): Worker {
  const fromSources = import.meta.url.endsWith(".ts");
  const address = `${module.href}.${fromSources ? "ts" : "js"}`;
  const entry = fromSources ? new URL("./boot.mjs", import.meta.url) : new URL(address);
  return new Worker(entry, { workerData: { module: address, data } satisfies WorkerStart });
}
