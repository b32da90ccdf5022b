/** @file Searches asked at the same moment go out together, and what is under way already is waited for instead of asked again. */
import { orAborted } from "../../async.js";
import type { Passage } from "../../types.js";
import { checkLists } from "../check-lists.js";
import { addCounts, type Counts } from "../counts.js";
import { checkCount, checkSignal } from "../engine.js";
import type { SearchEngine, SearchOptions } from "../engine.js";
import { isPartial, markPartial } from "../partial.js";

export interface SingleFlightSettings {
  /**
   * Whether queries of different callers are asked in one call. A call fails or waits as a whole: where an engine fails or waits by the
   * query (one query a request; answers on disk), false keeps one caller's trouble from the others. Default true.
   */
  together: boolean;
}

/** One call to the engine, with those who wait for it. */
interface Flight {
  /** How many callers wait for each query. */
  waiting: Map<string, number>;
  /** The largest that its callers want. */
  k: number;
  controller: AbortController;
  /** The lists by query. Settles with the flight, or when its last passenger has left. */
  landed: Promise<ReadonlyMap<string, readonly Passage[]>>;
}

/** The flight of those queries of a call that are on no other one. */
interface OwnFlight {
  flight?: Flight;
}

/**
 * Calls of the same macrotask tick become one `searchBatch` with the largest `k` among them (but see `together`); a query that is on its way with a `k` as large
 * is not asked again. Each caller gets its own lists, cut to its own `k`: engines promise that a smaller `k` is a prefix of a larger one.
 * A caller that aborts is let go at once; the engine's call is aborted when all its callers have left. A failure is told to all who wait for
 * it, and remembered for nobody.
 */
export class SingleFlightEngine implements SearchEngine {
  readonly name: string;
  readonly #engine: SearchEngine;
  readonly #together: boolean;
  /** Fly when the event loop turns; may still be boarded. Of calls that go together, there is one at most. */
  readonly #boarding = new Set<Flight>();
  readonly #underWay = new Set<Flight>();
  #shared = 0;

  constructor(engine: SearchEngine, { together = true }: Partial<SingleFlightSettings> = {}) {
    this.name = engine.name;
    this.#engine = engine;
    this.#together = together;
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    if (queries.length === 0) return [];
    const flightOf = new Map<string, Flight>();
    const own: OwnFlight = {};
    for (const query of queries) {
      if (flightOf.has(query)) this.#shared++;
      else flightOf.set(query, this.#board(query, k, own));
    }
    const flights = [...new Set(flightOf.values())];
    const leave = (): void => {
      for (const [query, flight] of flightOf) this.#leave(query, flight);
      for (const flight of flights) this.#cancelIfEmpty(flight, options.signal?.reason);
    };
    const landed = await orAborted(Promise.all(flights.map((flight) => flight.landed)), options.signal, leave);
    const listsOf = new Map(flights.map((flight, index) => [flight, landed[index]]));
    return queries.map((query) => {
      const list = listsOf.get(flightOf.get(query) as Flight)?.get(query) ?? [];
      const copy = list.slice(0, k).map((passage) => ({ ...passage }));
      return isPartial(list) ? markPartial(copy) : copy;
    });
  }

  /** `sharedQueries`: those that were on their way to the engine already. */
  counts(): Counts {
    return addCounts(this.#engine.counts?.(), { sharedQueries: this.#shared });
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  /** The flight that brings this query: one under way, or the next. */
  #board(query: string, k: number, own: OwnFlight): Flight {
    const underWay = [...this.#underWay].find((flight) => flight.k >= k && flight.waiting.has(query));
    const boarding = [...this.#boarding].find((flight) => this.#together || flight.waiting.has(query));
    const flight = underWay ?? boarding ?? (own.flight ??= this.#open());
    const others = flight.waiting.get(query);
    if (others !== undefined) this.#shared++;
    flight.waiting.set(query, (others ?? 0) + 1);
    flight.k = Math.max(flight.k, k);
    return flight;
  }

  #leave(query: string, flight: Flight): void {
    const others = (flight.waiting.get(query) ?? 1) - 1;
    if (others === 0 && this.#boarding.has(flight)) flight.waiting.delete(query);
    else flight.waiting.set(query, others);
  }

  #open(): Flight {
    const controller = new AbortController();
    const flight: Flight = { waiting: new Map(), k: 1, controller, landed: Promise.resolve(new Map()) };
    // Everything asked before the event loop turns again joins this flight.
    flight.landed = new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#boarding.delete(flight);
        if (flight.waiting.size > 0) this.#fly(flight).then(resolve, reject);
      });
    });
    this.#boarding.add(flight);
    // Those who left do not hear of it.
    flight.landed.catch(() => undefined);
    return flight;
  }

  async #fly(flight: Flight): Promise<ReadonlyMap<string, readonly Passage[]>> {
    this.#underWay.add(flight);
    const queries = [...flight.waiting.keys()];
    try {
      const lists = await this.#engine.searchBatch(queries, flight.k, { signal: flight.controller.signal });
      checkLists(lists, queries.length, this.name);
      return new Map(queries.map((query, index) => [query, lists[index]]));
    } finally {
      this.#underWay.delete(flight);
    }
  }

  /** A flight that nobody waits for any more. One that has landed, or not begun, has nothing to cancel. */
  #cancelIfEmpty(flight: Flight, reason: unknown): void {
    if (!this.#underWay.has(flight) || [...flight.waiting.values()].some((count) => count > 0)) return;
    this.#underWay.delete(flight);
    flight.controller.abort(reason);
  }
}
