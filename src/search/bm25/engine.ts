/** @file BM25 as a search engine: a scorer, an analyzer and the passages. */
import type { Passage } from "../../types.js";
import { Analyzer } from "../analyzer.js";
import { SearchError, checkCount, checkSignal } from "../engine.js";
import type { SearchEngine, SearchOptions } from "../engine.js";
import { indexInMemory } from "./memory.js";
import { DamagedPassage, PassagesInMemory } from "./passages.js";
import type { PassageSource, StoredPassage } from "./passages.js";
import { Bm25Scorer } from "./scorer.js";
import type { ScoredPassage } from "./top-passages.js";
import { checkRanking, defaultBm25 } from "./settings.js";
import type { Bm25Settings } from "./settings.js";
import type { Bm25Snapshot } from "./snapshot.js";

/** Longest stretch of scoring, in milliseconds, before other work on the same thread gets its turn. */
const patienceMs = 8;

/** Exact BM25 in this process. Make one with `Bm25Engine.fromPassages` or `openIndex`. */
export class Bm25Engine implements SearchEngine {
  readonly name = "bm25";
  readonly analyzer: Analyzer;
  /** Every passage of the index, by number. */
  readonly passages: PassageSource;
  private readonly scorer: Bm25Scorer;
  private isClosed = false;

  private constructor(snapshot: Bm25Snapshot, passages: PassageSource) {
    checkRanking(snapshot.k1, snapshot.b);
    this.analyzer = new Analyzer(snapshot.analyzer);
    this.passages = passages;
    this.scorer = new Bm25Scorer(snapshot);
  }

  /**
   * Indexes a list of passages in memory, at once and in this thread. No passages make an engine that finds nothing.
   * @throws UserError for settings out of range.
   */
  static fromPassages(passages: readonly StoredPassage[], settings: Partial<Bm25Settings> = {}): Bm25Engine {
    const { k1, b, analyzer: analyzerSettings } = { ...defaultBm25, ...settings };
    const analyzer = new Analyzer(analyzerSettings);
    const stored = passages.map(({ id, title, text }) => ({ id, title, text }));
    const segment = indexInMemory(stored, analyzer);
    const snapshot: Bm25Snapshot = {
      analyzer: analyzer.settings,
      k1,
      b,
      segments: [segment],
      passages: stored.length,
      totalLength: segment.lengths.reduce((sum, length) => sum + length, 0),
      deletedFrequencies: new Map(),
    };
    return new Bm25Engine(snapshot, new PassagesInMemory(stored));
  }

  /**
   * Opens an index at hand; `passages` are closed with the engine.
   * @throws UserError for settings out of range.
   */
  static async fromSnapshot(snapshot: Bm25Snapshot, passages: PassageSource): Promise<Bm25Engine> {
    return new Bm25Engine(snapshot, passages);
  }

  async searchBatch(queries: readonly string[], k: number, options: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    const results: Passage[][] = [];
    let lastPause = performance.now();
    for (const query of queries) {
      checkSignal(options.signal);
      if (this.isClosed)
        throw new SearchError("bm25: the engine is closed.", { engine: this.name, isRetryable: false });
      results.push(await this.read(this.scorer.top(this.analyzer.terms(query), k)));
      if (performance.now() - lastPause < patienceMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      lastPause = performance.now();
    }
    return results;
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.passages.close();
  }

  private async read(hits: readonly ScoredPassage[]): Promise<Passage[]> {
    try {
      const stored = await this.passages.read(hits.map(({ passage }) => passage));
      return stored.map(({ id, title, text }, rank) => ({ id, title, text, score: hits[rank].score }));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const remedy = cause instanceof DamagedPassage ? " Build the index again with `sleuth index`." : "";
      throw new SearchError(`bm25: ${why}.${remedy}`, { engine: this.name, isRetryable: false, cause });
    }
  }
}
