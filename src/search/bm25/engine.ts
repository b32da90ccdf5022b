/** @file BM25 as a search engine: an analyzer, scoring in this thread or in others, and the passages. */
import { availableParallelism } from "node:os";
import { TimeSlice, nextTurn } from "../../async.js";
import type { Passage, StoredPassage } from "../../types.js";
import { WorkerPool } from "../../workers/pool.js";
import { WorkerGone } from "../../workers/thread.js";
import { SearchError, checkCount, checkSignal } from "../engine.js";
import type { SearchEngine, SearchOptions } from "../engine.js";
import { DamagedPassage, PassagesInMemory, scoredPassage, storedPassage } from "../passages.js";
import type { PassageSource, SharedPassages } from "../passages.js";
import { Analyzer } from "../text/analyzer.js";
import type { Scored } from "../top-k.js";
import { queryTerms } from "./query-terms.js";
import { indexPassages, snapshotInMemory } from "./in-memory.js";
import { Bm25Scorer } from "./scorer.js";
import { checkRanking } from "./settings.js";
import type { Bm25Settings } from "./settings.js";
import type { Bm25Snapshot } from "./snapshot.js";

/** Passages copied before other work gets its turn. */
const copiedAtOnce = 10_000;

export interface Bm25EngineOptions {
  /** Threads that score; 0: the caller's thread. Default: none for a small index, else one for each processor and at most 4. */
  workers?: number;
}

/** Exact BM25 in this process. Make one with `Bm25Engine.fromPassages`, `indexed` or `openIndex`. */
export class Bm25Engine implements SearchEngine {
  readonly name = "bm25";
  readonly analyzer: Analyzer;
  /** Every passage of the index, by number. */
  readonly passages: PassageSource;
  readonly #ranking: Ranking;
  #isClosed = false;

  private constructor(ranking: Ranking, analyzer: Analyzer, passages: PassageSource) {
    this.#ranking = ranking;
    this.analyzer = analyzer;
    this.passages = passages;
  }

  /**
   * Indexes a list of passages in memory, at once and in this thread, and scores here too: for short lists. No passages make an engine
   * that finds nothing.
   * @throws UserError for settings out of range.
   */
  static fromPassages(passages: readonly StoredPassage[], settings: Partial<Bm25Settings> = {}): Bm25Engine {
    const stored = passages.map(storedPassage);
    const snapshot = snapshotInMemory(stored, settings);
    const source = new PassagesInMemory(stored);
    return new Bm25Engine(new SearchHere(snapshot, source), new Analyzer(snapshot.analyzer), source);
  }

  /**
   * As `fromPassages` for lists of any length: indexes and scores in workers where this thread would be held up.
   * @throws UserError for settings out of range.
   */
  static async indexed(
    passages: readonly StoredPassage[],
    settings: Partial<Bm25Settings> = {},
    options: Bm25EngineOptions = {},
  ): Promise<Bm25Engine> {
    const stored: StoredPassage[] = [];
    for (let first = 0; first < passages.length; first += copiedAtOnce) {
      stored.push(...passages.slice(first, first + copiedAtOnce).map(storedPassage));
      await nextTurn();
    }
    return Bm25Engine.fromSnapshot(await indexPassages(stored, settings), new PassagesInMemory(stored), options);
  }

  /**
   * Opens an index at hand; `passages` are closed with the engine, or when it cannot be opened.
   * @throws UserError for settings out of range.
   */
  static async fromSnapshot(
    snapshot: Bm25Snapshot,
    passages: PassageSource,
    { workers = defaultWorkers(snapshot) }: Bm25EngineOptions = {},
  ): Promise<Bm25Engine> {
    try {
      checkRanking(snapshot.k1, snapshot.b);
      const analyzer = new Analyzer(snapshot.analyzer);
      const ranking =
        workers === 0 ? new SearchHere(snapshot, passages) : await SearchInWorkers.open(snapshot, passages, workers);
      return new Bm25Engine(ranking, analyzer, passages);
    } catch (error) {
      await passages.close();
      throw error;
    }
  }

  async searchBatch(queries: readonly string[], k: number, { signal }: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(signal);
    const results: Passage[][] = [];
    try {
      this.#checkOpen();
      for await (const lists of this.#ranking.search(queries, k, signal)) {
        results.push(...lists);
        checkSignal(signal);
        this.#checkOpen();
      }
    } catch (error) {
      throw this.#failureOf(error, signal);
    }
    return results;
  }

  /** Searches under way fail. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#ranking.close();
    await this.passages.close();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new SearchError("bm25: the engine is closed.", { engine: this.name, isRetryable: false });
  }

  /** The caller's error: its own reason if it has aborted, else a SearchError. */
  #failureOf(cause: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return signal.reason;
    if (cause instanceof SearchError) return cause;
    const engine = this.name;
    // A read from a file that is being closed fails with other errors.
    if (this.#isClosed) return new SearchError("bm25: the engine is closed.", { engine, isRetryable: false, cause });
    const why = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof WorkerGone)
      return new SearchError(`bm25: a scoring thread has ended (${why}) Another takes its place; try again.`, {
        engine,
        isRetryable: true,
        cause,
      });
    const remedy = cause instanceof DamagedPassage ? " Build the index again with `sleuth index`." : "";
    return new SearchError(`bm25: ${why}.${remedy}`, { engine, isRetryable: false, cause });
  }
}

/** Queries to passages, in this thread or in others. */
interface Ranking {
  /**
   * The best `k` passages of each query, in pieces of the batch as they are done, in order.
   * @throws DamagedPassage; WorkerGone when a thread has died or `close` was called; the signal's reason
   */
  search(queries: readonly string[], k: number, signal?: AbortSignal): AsyncIterable<Passage[][]>;
  close(): Promise<void>;
}

/** Up to here a query takes well under a millisecond, and a thread's answer would take longer. */
const passagesWithoutWorkers = 20_000;
const mostWorkers = 4;

export function defaultWorkers({ passages }: Bm25Snapshot): number {
  return passages < passagesWithoutWorkers ? 0 : Math.min(availableParallelism(), mostWorkers);
}

/** Longest stretch of scoring, in milliseconds, before other work on the same thread gets its turn. */
const sliceMs = 8;

class SearchHere implements Ranking {
  readonly #analyzer: Analyzer;
  readonly #scorer: Bm25Scorer;
  readonly #passages: PassageSource;

  constructor(snapshot: Bm25Snapshot, passages: PassageSource) {
    this.#analyzer = new Analyzer(snapshot.analyzer);
    this.#scorer = new Bm25Scorer(snapshot);
    this.#passages = passages;
  }

  async *search(queries: readonly string[], k: number, signal?: AbortSignal): AsyncGenerator<Passage[][]> {
    const slice = new TimeSlice(sliceMs);
    for (const query of queries) {
      checkSignal(signal);
      yield [await read(this.#passages, this.#scorer.top(queryTerms(this.#analyzer, query), k))];
      if (slice.isOver) await slice.next();
    }
  }

  async close(): Promise<void> {}
}

export interface ScoreTask {
  queries: readonly string[];
  k: number;
}

/** What a worker is opened with. */
export interface ScoreData {
  snapshot: Bm25Snapshot;
  /** Absent where workers cannot read passages. */
  passages: SharedPassages | undefined;
}

interface FoundTexts {
  ids: string[];
  titles: string[];
  texts: string[];
  /** Absent where none of the passages has one. */
  urls?: (string | undefined)[];
  sections?: (string | undefined)[];
}

/** Ranked passages of several queries, one after another. */
export interface ScoreAnswer {
  /** How many each query has. */
  counts: number[];
  numbers: number[];
  scores: number[];
  /** Texts in one list each: lists of strings and numbers cross threads at less cost than objects and typed arrays. Absent where the worker cannot read passages. */
  texts?: FoundTexts;
  /** Why a passage could not be read. */
  damage?: string;
}

/** Of one task, so that what arrives at once is unpacked in a millisecond or two. */
const mostQueriesPerTask = 16;
const mostPassagesPerTask = 512;

/** Workers score, and read what they found where they can: reading it here would cost this thread more than all the rest. */
class SearchInWorkers implements Ranking {
  readonly #pool: WorkerPool<ScoreTask, ScoreAnswer>;
  readonly #workers: number;
  readonly #passages: PassageSource;

  private constructor(pool: WorkerPool<ScoreTask, ScoreAnswer>, workers: number, passages: PassageSource) {
    this.#pool = pool;
    this.#workers = workers;
    this.#passages = passages;
  }

  /** Arrays of the snapshot that do not lie in SharedArrayBuffers are copied for every worker. */
  static async open(snapshot: Bm25Snapshot, passages: PassageSource, workers: number): Promise<SearchInWorkers> {
    const module = new URL("./score-worker", import.meta.url);
    const data: ScoreData = { snapshot, passages: passages.shared };
    const pool = await WorkerPool.open<ScoreTask, ScoreAnswer>({ name: "bm25", module, workers, data });
    return new SearchInWorkers(pool, workers, passages);
  }

  async *search(queries: readonly string[], k: number, signal?: AbortSignal): AsyncGenerator<Passage[][]> {
    checkSignal(signal);
    // A small batch is one task for each worker: a message costs as much as a short query.
    const fair = Math.ceil(queries.length / this.#workers);
    const size = Math.min(mostQueriesPerTask, fair, Math.ceil(mostPassagesPerTask / k));
    const answers: Promise<ScoreAnswer>[] = [];
    for (let first = 0; first < queries.length; first += size)
      answers.push(this.#pool.run({ queries: queries.slice(first, first + size), k }, { signal }));
    // The first that fails is thrown below; the others must not be called unhandled.
    for (const answer of answers) answer.catch(() => {});
    for (const answer of answers) yield await this.#unpacked(await answer);
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  #unpacked({ counts, numbers, scores, texts: found, damage }: ScoreAnswer): Promise<Passage[][]> | Passage[][] {
    if (damage !== undefined) throw new DamagedPassage(damage);
    let next = 0;
    if (found === undefined) {
      const hits = (count: number): Scored[] =>
        Array.from({ length: count }, () => ({ item: numbers[next], score: scores[next++] }));
      return Promise.all(counts.map((count) => read(this.#passages, hits(count))));
    }
    const { ids, titles, texts, urls, sections } = found;
    const passage = (): Passage => {
      const [url, section] = [urls?.[next], sections?.[next]];
      const stored = { id: ids[next], title: titles[next], text: texts[next], url, section };
      return scoredPassage(stored, scores[next++]);
    };
    return counts.map((count) => Array.from({ length: count }, passage));
  }
}

async function read(passages: PassageSource, hits: readonly Scored[]): Promise<Passage[]> {
  const stored = await passages.read(hits.map(({ item }) => item));
  return stored.map((passage, rank) => scoredPassage(passage, hits[rank].score));
}
