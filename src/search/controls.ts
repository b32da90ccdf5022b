/** @file Engines that show what searching is worth: one that finds nothing, one that finds anything, and one that stands for no search. */
import { Random } from "../random.js";
import type { Passage, StoredPassage } from "../types.js";
import { openBm25 } from "./bm25/open.js";
import { PassagesInMemory, scoredPassage } from "./passages.js";
import type { PassageSource } from "./passages.js";
import { checkCount, checkSignal, isBlank } from "./engine.js";
import type { SearchEngine, SearchOptions } from "./engine.js";
import type { EngineContext, EngineSettings } from "./settings.js";

/** Finds nothing: the control for what a policy learns of searching when searching never helps. */
export class EmptyEngine implements SearchEngine {
  readonly name: string = "empty";

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(options.signal);
    return queries.map(() => []);
  }

  async close(): Promise<void> {}
}

/** Stands where no search is possible: rollouts do not ask it, and other callers find nothing. */
export class NoneEngine extends EmptyEngine {
  override readonly name = "none";
}

/**
 * Finds any passages: the control for whether a policy uses what it finds. It draws uniformly, without repetition. The draw is a function of
 * seed and query, so that runs repeat exactly and a batch equals its single queries. Scores fall from 1 by rank and mean nothing.
 */
export class RandomEngine implements SearchEngine {
  readonly name = "random";
  readonly #passages: PassageSource;
  readonly #seed: number;
  readonly #owner: Pick<SearchEngine, "close"> | undefined;

  /**
   * `passages`: a list, or the `passages` of a `Bm25Engine`, which then must stay open; as `owner` it is closed with this engine.
   */
  constructor(passages: readonly StoredPassage[] | PassageSource, seed: number, owner?: Pick<SearchEngine, "close">) {
    this.#passages = "read" in passages ? passages : new PassagesInMemory(passages);
    this.#seed = seed;
    this.#owner = owner;
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    const results: Passage[][] = [];
    for (const query of queries) {
      checkSignal(options.signal);
      const stored = isBlank(query) ? [] : await this.#passages.read(this.#draw(query, k));
      results.push(stored.map((passage, rank) => scoredPassage(passage, 1 / (rank + 1))));
    }
    return results;
  }

  async close(): Promise<void> {
    await this.#owner?.close();
  }

  /** The first k numbers of a shuffle; only the places it touches are kept (Fisher–Yates on a sparse list). */
  #draw(query: string, k: number): number[] {
    const random = new Random(this.#seed, query);
    const moved = new Map<number, number>();
    const { count } = this.#passages;
    const drawn: number[] = [];
    for (let index = 0; index < count && drawn.length < k; index++) {
      const other = index + random.integer(count - index);
      const number = moved.get(other) ?? other;
      if (!this.#passages.isDeleted(number)) drawn.push(number);
      moved.set(other, moved.get(index) ?? index);
    }
    return drawn;
  }
}

/** Over the passages of an index or of a corpus. */
export async function openRandom(settings: EngineSettings, context: EngineContext): Promise<RandomEngine> {
  const bm25 = await openBm25(settings, context);
  return new RandomEngine(bm25.passages, settings.seed, bm25);
}
