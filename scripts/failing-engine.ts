/** @file An engine that fails as often as it is told, for tests of what failing searches do to a run. */
import { orAborted } from "../src/async.js";
import { deriveSeed, uniformAt } from "../src/random.js";
import type { Passage } from "../src/types.js";
import { SearchError, checkCount, checkSignal } from "../src/search/engine.js";
import type { SearchEngine, SearchOptions } from "../src/search/engine.js";

/** `error`: a retryable SearchError; `hang`: no answer until the caller gives up; `nonsense`: an answer that breaks the contract. */
export type FailureKind = "error" | "hang" | "nonsense";

export interface FailingSettings {
  /** Share of queries that fail, in [0, 1]. */
  share: number;
  seed: number;
  /** Default: all three, equally often. */
  kinds?: readonly FailureKind[];
}

/**
 * Lets another engine answer, or fails. Whether a query fails is a function of the seed, its text and how often it has been asked before:
 * the same calls fail in every repetition, and asking again may succeed. One failing query fails its whole batch, as with real servers.
 */
export class FailingEngine implements SearchEngine {
  readonly name: string;
  readonly #engine: SearchEngine;
  readonly #settings: Required<FailingSettings>;
  readonly #asked = new Map<string, number>();
  readonly #closed = new AbortController();
  #failures = 0;

  constructor(engine: SearchEngine, settings: FailingSettings) {
    this.name = `failing ${engine.name}`;
    this.#engine = engine;
    this.#settings = { kinds: ["error", "hang", "nonsense"], ...settings };
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    // Every query is counted, also behind one that fails.
    const kinds = queries.map((query) => this.#draw(query));
    const kind = kinds.find((each) => each !== undefined);
    if (kind === undefined) return this.#engine.searchBatch(queries, k, options);
    this.#failures++;
    if (kind === "error") throw this.#error("injected failure", true);
    if (kind === "hang") return this.#hang(options.signal);
    return this.#nonsense(queries);
  }

  counts(): Readonly<Record<string, number>> {
    return { ...this.#engine.counts?.(), injectedFailures: this.#failures };
  }

  /** Ends what hangs. */
  async close(): Promise<void> {
    this.#closed.abort(this.#error("the engine is closed", false));
    await this.#engine.close();
  }

  #draw(query: string): FailureKind | undefined {
    const count = this.#asked.get(query) ?? 0;
    this.#asked.set(query, count + 1);
    const { seed, share, kinds } = this.#settings;
    const stream = deriveSeed(seed, "failing search", query, count);
    if (uniformAt(stream, 0) >= share) return undefined;
    return kinds[Math.floor(uniformAt(stream, 1) * kinds.length)];
  }

  #hang(signal: AbortSignal | undefined): Promise<never> {
    return orAborted(new Promise(() => {}), [this.#closed.signal, signal]);
  }

  /** A list too few, or passages that lack their text. */
  #nonsense(queries: readonly string[]): Passage[][] {
    if (this.#failures % 2 === 0) return queries.slice(1).map(() => []);
    return queries.map(() => [{ id: "nonsense", title: "", score: Number.NaN } as Passage]);
  }

  #error(why: string, isRetryable: boolean): SearchError {
    return new SearchError(`${this.name}: ${why}.`, { engine: this.name, isRetryable });
  }
}
