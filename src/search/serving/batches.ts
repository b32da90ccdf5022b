/** @file Requests that wait at the same time are searched together: engines that batch do less work, servers behind them are asked less often. */
import type { Passage } from "../../types.js";
import { SearchError } from "../engine.js";
import type { SearchEngine } from "../engine.js";

export interface BatchSettings {
  /** Most queries of one batch; a request of more is a batch of its own. */
  maxQueries: number;
  /** Batches at the engine at once. Two let it search the one while the answers of the other are written. */
  underWay: number;
}

interface Waiting {
  queries: readonly string[];
  k: number;
  signal: AbortSignal;
  resolve: (lists: Passage[][]) => void;
  reject: (reason: unknown) => void;
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

  /** @throws SearchError of the engine; the signal's reason */
  search(queries: readonly string[], k: number, signal: AbortSignal): Promise<Passage[][]> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== entry);
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const release = (): void => signal.removeEventListener("abort", onAbort);
      const entry: Waiting = {
        queries,
        k,
        signal,
        resolve: (lists) => (release(), resolve(lists)),
        reject: (reason) => (release(), reject(reason as Error)),
      };
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
    const queries = [...new Set(callers.flatMap((caller) => caller.queries))];
    const left = whenAllAbort(callers);
    let lists: Passage[][];
    try {
      lists = await this.#engine.searchBatch(queries, callers[0].k, { signal: left.signal });
    } finally {
      left.release();
    }
    const { name } = this.#engine;
    if (!Array.isArray(lists) || lists.length !== queries.length)
      throw new SearchError(`${name} answered ${queries.length} queries with another number of lists.`, {
        engine: name,
        isRetryable: false,
      });
    const listOf = new Map(queries.map((query, index) => [query, lists[index]]));
    for (const caller of callers) caller.resolve(caller.queries.map((query) => listOf.get(query) as Passage[]));
  }
}

/** A signal that aborts when the last of the callers has left. */
function whenAllAbort(callers: readonly Waiting[]): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const check = (): void => {
    if (callers.every(({ signal }) => signal.aborted)) controller.abort(callers[0].signal.reason);
  };
  for (const { signal } of callers) signal.addEventListener("abort", check);
  check();
  const release = (): void => callers.forEach(({ signal }) => signal.removeEventListener("abort", check));
  return { signal: controller.signal, release };
}
