/** @file Requests that wait at the same time are searched together: engines that batch do less work, servers behind them are asked less often. */
import { setMaxListeners } from "node:events";
import type { Passage } from "../../types.js";
import { SearchError } from "../engine.js";
import type { SearchEngine } from "../engine.js";

export interface BatchSettings {
  /** Most queries of one batch; a request of more is a batch of its own. */
  maxQueries: number;
  /** Batches at the engine at once. Two let it search the one while the answers of the other are written. */
  underWay: number;
}

/** Who waits for an answer. Plain callbacks: a signal for each request would cost more than a small search. */
export interface Waiter {
  /** Whether nobody waits any more. */
  isGone: () => boolean;
  /** Calls back when nobody waits any more, with the reason. */
  onGone: (leave: (reason: unknown) => void) => void;
}

interface Waiting {
  queries: readonly string[];
  k: number;
  /** The batch that took it. */
  batch?: Batch;
  isDone: boolean;
  resolve: (lists: Passage[][]) => void;
  reject: (reason: unknown) => void;
}

interface Batch {
  /** Aborts the search when the last of its callers has left. */
  controller: AbortController;
  open: number;
}

/**
 * Nothing is held back for the sake of a batch: a request that finds the engine idle goes at the next turn of the event loop, together with
 * what arrived in this one. What arrives while the engine is busy gathers, and goes as one batch when it is free.
 */
export class SearchBatches {
  /** Batches sent to the engine so far. */
  batches = 0;
  readonly #engine: SearchEngine;
  readonly #settings: BatchSettings;
  #waiting: Waiting[] = [];
  #underWay = 0;
  #isScheduled = false;

  constructor(engine: SearchEngine, settings: BatchSettings) {
    this.#engine = engine;
    this.#settings = settings;
  }

  /** Queries that no batch has taken yet. */
  get waiting(): number {
    return this.#waiting.reduce((sum, { queries }) => sum + queries.length, 0);
  }

  /** @throws SearchError of the engine, or when time is up; the reason for which nobody waits any more */
  search(queries: readonly string[], k: number, waiter: Waiter, timeoutMs: number): Promise<Passage[][]> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        entry.isDone = true;
        if (entry.batch !== undefined) entry.batch.open--;
      };
      const entry: Waiting = {
        queries,
        k,
        isDone: false,
        resolve: (lists) => {
          if (entry.isDone) return;
          done();
          resolve(lists);
        },
        reject: (reason) => {
          if (entry.isDone) return;
          done();
          reject(reason as Error);
        },
      };
      const leave = (reason: unknown): void => {
        if (entry.isDone) return;
        this.#waiting = this.#waiting.filter((other) => other !== entry);
        entry.reject(reason);
        if (entry.batch?.open === 0) entry.batch.controller.abort(reason);
      };
      const timer = setTimeout(() => leave(this.#error(`no answer within ${timeoutMs} ms.`, true)), timeoutMs);
      waiter.onGone(leave);
      this.#waiting.push(entry);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0 || this.#underWay >= this.#settings.underWay) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      while (this.#waiting.length > 0 && this.#underWay < this.#settings.underWay) void this.#send(this.#take());
    });
  }

  /** Those who wait longest, as long as they want as many passages as the first of them. */
  #take(): Waiting[] {
    const [{ k }] = this.#waiting;
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    let queries = 0;
    for (const entry of this.#waiting) {
      const fits = taken.length === 0 || queries + entry.queries.length <= this.#settings.maxQueries;
      if (entry.k === k && fits) {
        queries += entry.queries.length;
        taken.push(entry);
      } else left.push(entry);
    }
    this.#waiting = left;
    return taken;
  }

  async #send(callers: readonly Waiting[]): Promise<void> {
    this.#underWay++;
    try {
      await this.#ask(callers);
    } catch (error) {
      // One request's query may be what the engine cannot bear: then the others should not suffer.
      const isOwnFault = callers.length > 1 && !(error instanceof SearchError && error.isRetryable);
      if (isOwnFault) for (const caller of callers) await this.#ask([caller]).catch(caller.reject);
      else for (const caller of callers) caller.reject(error);
    } finally {
      this.#underWay--;
      this.#schedule();
    }
  }

  async #ask(callers: readonly Waiting[]): Promise<void> {
    this.batches++;
    const open = callers.filter(({ isDone }) => !isDone);
    if (open.length === 0) return;
    const controller = new AbortController();
    // One listener for each query that the engine hands to a worker is no leak.
    setMaxListeners(0, controller.signal);
    const batch: Batch = { controller, open: open.length };
    for (const caller of open) caller.batch = batch;
    const all = open.flatMap((caller) => caller.queries);
    const queries = [...new Set(all)];
    const lists = await this.#engine.searchBatch(queries, open[0].k, { signal: controller.signal });
    if (!Array.isArray(lists) || lists.length !== queries.length)
      throw this.#error(`${this.#engine.name} answered ${queries.length} queries with another number of lists.`, false);
    const listOf = new Map(queries.map((query, index) => [query, lists[index]]));
    for (const caller of open) caller.resolve(caller.queries.map((query) => listOf.get(query) as Passage[]));
  }

  #error(message: string, isRetryable: boolean): SearchError {
    return new SearchError(message, { engine: this.#engine.name, isRetryable });
  }
}
