/**
 * @file Callers that ask at the same moment share a call; a query already under way is waited for, not asked again. In front of every
 * opened engine, of its encoder, and of the engine of a search server.
 */
import { linkedController, onAbort } from "../../async.js";
import { SearchError, addCounts } from "../engine.js";
import type { SearchEngine } from "../engine.js";
import { WrappedEngine, firstOf, layerOf } from "./wrap.js";
import type { Layer } from "./wrap.js";

export interface CoalescerSettings {
  /** Whose queries go into one call: all callers', with the largest `k` among them; those of callers with the same `k`; one caller's alone. */
  share: "all" | "same-k" | "none";
  /** Most queries of a call; a caller with more has a call of its own. */
  maxQueries: number;
  /** Most calls under way. Further queries wait, and go out together as soon as one call ends. */
  maxCalls: number;
  /**
   * Whether a failed call is repeated for each caller alone: the query of a single caller may be the cause. A failure that may pass
   * (a retryable `SearchError`) goes to all of them at once.
   */
  retryAlone: boolean;
}

const defaults: CoalescerSettings = { share: "all", maxQueries: Infinity, maxCalls: Infinity, retryAlone: false };

/** Answers distinct queries, one answer each, in their order. */
type Answering<Answer> = (queries: readonly string[], k: number, signal: AbortSignal) => Promise<readonly Answer[]>;

/** Where a caller gets its answers. Plain callbacks: a promise and a signal for each would cost more than a small search. */
interface Listener<Answer> {
  resolve: (answers: Answer[]) => void;
  reject: (reason: unknown) => void;
}

interface Caller<Answer> {
  listener: Listener<Answer>;
  answers: Answer[];
  /** Answers that have not come yet; 0 when the caller waits no longer. */
  missing: number;
  asked: readonly Asked<Answer>[];
}

/** A query that waits or is under way, with its callers and the place of its answer in each caller's list. */
interface Asked<Answer> {
  query: string;
  k: number;
  waiting: { caller: Caller<Answer>; place: number }[];
  /** Absent until it is sent. */
  call?: Call<Answer>;
}

interface Call<Answer> {
  asked: readonly Asked<Answer>[];
  controller: AbortController;
  /** Answers that callers still wait for. At 0 the call is aborted. */
  waiting: number;
}

/**
 * No query is held back to make a call larger: it goes out at the next turn of the event loop, with all others of
 * this one. A query under way with a `k` as large is not asked again. A caller that aborts is free at once; a call is aborted when its last caller
 * has aborted. Failures go to the waiting callers and are not remembered.
 */
export class Coalescer<Answer> {
  /** Calls made so far. */
  calls = 0;
  /** Queries that were already waiting or under way when a caller asked them. */
  shared = 0;
  readonly #answer: Answering<Answer>;
  readonly #settings: CoalescerSettings;
  /** What each caller has added, in order; not sent yet. */
  #gathered: Asked<Answer>[][] = [];
  /** The newest entry of each query, waiting or under way. */
  readonly #newest = new Map<string, Asked<Answer>>();
  #underWay = 0;
  #isScheduled = false;

  constructor(answer: Answering<Answer>, settings: Partial<CoalescerSettings> = {}) {
    this.#answer = answer;
    this.#settings = { ...defaults, ...settings };
  }

  /** Queries that no call has taken yet. */
  get waiting(): number {
    return this.#gathered.reduce((sum, group) => sum + group.length, 0);
  }

  /**
   * Answers come to the listener once, or a reason why not. They may be those to a larger `k`.
   * @returns a function that the caller calls to abort: the listener gets the reason, unless it was called already
   */
  ask(queries: readonly string[], k: number, listener: Listener<Answer>): (reason: unknown) => void {
    if (queries.length === 0) {
      listener.resolve([]);
      return () => {};
    }
    const group: Asked<Answer>[] = [];
    const asked = queries.map((query) => this.#join(query, k) ?? this.#add(query, k, group));
    const caller: Caller<Answer> = {
      listener,
      answers: new Array<Answer>(queries.length),
      missing: queries.length,
      asked,
    };
    for (const [place, one] of asked.entries()) {
      one.waiting.push({ caller, place });
      if (one.call !== undefined) one.call.waiting++;
    }
    if (group.length > 0) this.#gathered.push(group);
    this.#schedule();
    return (reason) => this.#leave(caller, reason);
  }

  /** Callers that wait for a query that no call has taken yet get the reason; calls under way go on for the others. */
  abandonWaiting(reason: unknown): void {
    this.#fail(this.#gathered.splice(0).flat(), reason);
  }

  /** The same as a promise. */
  search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      let release = (): void => {};
      const leave = this.ask(queries, k, {
        resolve: (answers) => (release(), resolve(answers)),
        reject: (reason) => (release(), reject(reason as Error)),
      });
      release = onAbort(signal, leave);
    });
  }

  #join(query: string, k: number): Asked<Answer> | undefined {
    const known = this.#newest.get(query);
    if (known === undefined) return undefined;
    const mayGrow = known.call === undefined && this.#settings.share !== "same-k";
    if (known.k < k && !mayGrow) return undefined;
    known.k = Math.max(known.k, k);
    this.shared++;
    return known;
  }

  #add(query: string, k: number, group: Asked<Answer>[]): Asked<Answer> {
    const asked: Asked<Answer> = { query, k, waiting: [] };
    this.#newest.set(query, asked);
    group.push(asked);
    return asked;
  }

  #schedule(): void {
    const { maxCalls } = this.#settings;
    if (this.#isScheduled || this.#gathered.length === 0 || this.#underWay >= maxCalls) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      while (this.#gathered.length > 0 && this.#underWay < maxCalls) void this.#send(this.#take());
    });
  }

  /** Of what waits longest, as much as fits into one call. */
  #take(): Asked<Answer>[][] {
    const { share, maxQueries } = this.#settings;
    const [first, ...others] = this.#gathered;
    const taken = [first];
    const left: Asked<Answer>[][] = [];
    let count = first.length;
    for (const group of others) {
      const belongs = share === "all" || (share === "same-k" && group[0].k === first[0].k);
      if (belongs) count += group.length;
      (belongs && count <= maxQueries ? taken : left).push(group);
    }
    this.#gathered = left;
    return taken;
  }

  async #send(groups: readonly Asked<Answer>[][]): Promise<void> {
    this.#underWay++;
    try {
      await this.#call(groups.flat());
    } catch (error) {
      const mayPass = error instanceof SearchError && error.isRetryable;
      if (!this.#settings.retryAlone || groups.length === 1 || mayPass) this.#fail(groups.flat(), error);
      else for (const group of groups) await this.#call(group).catch((own: unknown) => this.#fail(group, own));
    } finally {
      this.#underWay--;
      this.#schedule();
    }
  }

  /** Asks for the queries that callers still wait for. */
  async #call(gathered: readonly Asked<Answer>[]): Promise<void> {
    this.#forget(gathered.filter(({ waiting }) => waiting.length === 0));
    const asked = gathered.filter(({ waiting }) => waiting.length > 0);
    if (asked.length === 0) return;
    this.calls++;
    const { controller } = linkedController();
    const waiting = asked.reduce((sum, one) => sum + one.waiting.length, 0);
    const call: Call<Answer> = { asked, controller, waiting };
    for (const one of asked) one.call = call;
    const k = asked.reduce((largest, one) => Math.max(largest, one.k), 1);
    const queries = asked.map(({ query }) => query);
    const answers = await this.#answer(queries, k, controller.signal);
    this.#forget(asked);
    for (const [index, one] of asked.entries()) {
      for (const { caller, place } of one.waiting) {
        caller.answers[place] = answers[index];
        if (--caller.missing === 0) caller.listener.resolve(caller.answers);
      }
      // An outgrown table of the map may reach the query until the next full collection. It should not reach the answers.
      one.waiting = [];
    }
  }

  #fail(asked: readonly Asked<Answer>[], reason: unknown): void {
    this.#forget(asked);
    for (const { waiting } of asked) for (const { caller } of [...waiting]) this.#leave(caller, reason);
  }

  #leave(caller: Caller<Answer>, reason: unknown): void {
    if (caller.missing === 0) return;
    caller.missing = 0;
    for (const asked of caller.asked) {
      const others = asked.waiting.filter((other) => other.caller !== caller);
      const { call } = asked;
      if (call !== undefined) call.waiting -= asked.waiting.length - others.length;
      asked.waiting = others;
    }
    for (const { call } of caller.asked) {
      if (call?.waiting !== 0) continue;
      this.#forget(call.asked);
      call.controller.abort(reason);
    }
    caller.listener.reject(reason);
  }

  /** From now on these queries are asked again. */
  #forget(asked: readonly Asked<Answer>[]): void {
    for (const one of asked) if (this.#newest.get(one.query) === one) this.#newest.delete(one.query);
  }
}

interface SingleFlightSettings {
  /**
   * Whether queries of different callers are asked in one call. A call fails or waits as a whole: where an engine fails or waits by the
   * query (one query a request; answers on disk), false keeps one caller's failure from the others. Default true.
   */
  together: boolean;
}

/** Asks the layer inside once for all simultaneous callers of a query. `sharedQueries` counts the queries not asked again. */
export function coalesced(inner: Layer, { together = true }: Partial<SingleFlightSettings> = {}): Layer {
  const share = together ? "all" : "none";
  const coalescer = new Coalescer((queries, k, signal) => inner.search(queries, k, { signal }), { share });
  return {
    name: inner.name,
    search: async (queries, k, { signal, repeated = 0 }) => {
      coalescer.shared += repeated;
      const lists = await coalescer.search(queries, k, signal);
      return lists.map((list) => firstOf(list, k));
    },
    counts: () => addCounts(inner.counts(), { sharedQueries: coalescer.shared }),
    close: () => inner.close(),
  };
}

/**
 * Calls of the same macrotask tick become one `searchBatch` with the largest `k` among them (but see `together`); a query that is under way with
 * a `k` as large is not asked again. Each caller gets its own lists, cut to its own `k`. Closing it closes the engine.
 */
export class SingleFlightEngine extends WrappedEngine {
  constructor(engine: SearchEngine, settings: Partial<SingleFlightSettings> = {}) {
    super(coalesced(layerOf(engine), settings));
  }
}
