/** @file A small memory of recent answers in front of any engine. */
import type { Passage } from "../types.js";
import { checkLists } from "./check-lists.js";
import { addCounts, type Counts } from "./counts.js";
import { checkCount, checkSignal } from "./engine.js";
import type { SearchEngine, SearchOptions } from "./engine.js";
import { isPartial, markPartial } from "./partial.js";

/**
 * Least-recently-used cache of (query, k). Only misses reach the engine, each distinct one once a call; failures and
 * partial answers are not remembered. Closing it closes the engine.
 */
export class CachedEngine implements SearchEngine {
  readonly name: string;
  /** Queries answered from memory, and asked of the engine, so far. */
  hits = 0;
  misses = 0;
  readonly #engine: SearchEngine;
  readonly #maxEntries: number;
  /** Oldest use first: a Map keeps the order of insertion. */
  readonly #entries = new Map<string, readonly Passage[]>();

  constructor(engine: SearchEngine, maxEntries = 4096) {
    this.name = `cached ${engine.name}`;
    this.#engine = engine;
    this.#maxEntries = maxEntries;
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    const found = new Map<string, readonly Passage[]>();
    for (const query of new Set(queries)) {
      const passages = this.#take(keyOf(query, k));
      if (passages !== undefined) found.set(query, passages);
    }
    const missing = [...new Set(queries)].filter((query) => !found.has(query));
    this.hits += queries.length - missing.length;
    this.misses += missing.length;
    if (missing.length > 0) {
      const answer = await this.#engine.searchBatch(missing, k, options);
      const results = checkLists(answer, missing.length, this.#engine.name);
      for (const [index, query] of missing.entries()) {
        found.set(query, results[index]);
        if (!isPartial(results[index])) this.#keep(keyOf(query, k), results[index]);
      }
    }
    // Copies: a caller may change what it gets.
    return queries.map((query) => {
      const list = found.get(query) as readonly Passage[];
      const copy = list.map((passage) => ({ ...passage }));
      return isPartial(list) ? markPartial(copy) : copy;
    });
  }

  counts(): Counts {
    return addCounts(this.#engine.counts?.(), { cacheHits: this.hits, cacheMisses: this.misses });
  }

  async close(): Promise<void> {
    this.#entries.clear();
    await this.#engine.close();
  }

  #take(key: string): readonly Passage[] | undefined {
    const passages = this.#entries.get(key);
    if (passages === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, passages);
    return passages;
  }

  #keep(key: string, passages: readonly Passage[]): void {
    this.#entries.set(key, passages);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries) break;
      this.#entries.delete(oldest);
    }
  }
}

function keyOf(query: string, k: number): string {
  return `${k} ${query}`;
}
