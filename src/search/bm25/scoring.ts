/** @file Queries to ranked passages, in this thread or in others. */
import { availableParallelism } from "node:os";
import { Analyzer } from "../text/analyzer.js";
import { checkSignal } from "../engine.js";
import { WorkerPool } from "../../workers/pool.js";
import { Bm25Scorer } from "./scorer.js";
import type { Bm25Snapshot } from "./snapshot.js";
import type { ScoredPassage } from "../top-k.js";

export interface Scoring {
  /**
   * The best `k` passages of each query, in pieces of the batch as they are done, in order.
   * @throws WorkerGone when a thread has died or `close` was called; the signal's reason
   */
  top(queries: readonly string[], k: number, signal?: AbortSignal): AsyncIterable<ScoredPassage[][]>;
  close(): Promise<void>;
}

/** Up to here a query takes well under a millisecond, and a thread's answer would take longer. */
const passagesWithoutWorkers = 20_000;
const mostWorkers = 4;

export function defaultWorkers({ passages }: Bm25Snapshot): number {
  return passages < passagesWithoutWorkers ? 0 : Math.min(availableParallelism(), mostWorkers);
}

/** Longest stretch of scoring, in milliseconds, before other work on the same thread gets its turn. */
const patienceMs = 8;

export class ScoringHere implements Scoring {
  readonly #analyzer: Analyzer;
  readonly #scorer: Bm25Scorer;

  constructor(snapshot: Bm25Snapshot) {
    this.#analyzer = new Analyzer(snapshot.analyzer);
    this.#scorer = new Bm25Scorer(snapshot);
  }

  async *top(queries: readonly string[], k: number, signal?: AbortSignal): AsyncGenerator<ScoredPassage[][]> {
    let lastPause = performance.now();
    for (const query of queries) {
      checkSignal(signal);
      yield [this.#scorer.top(this.#analyzer.terms(query), k)];
      if (performance.now() - lastPause < patienceMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      lastPause = performance.now();
    }
  }

  async close(): Promise<void> {}
}

export interface ScoreTask {
  queries: readonly string[];
  k: number;
}

/** Ranked passages of several queries, one after another. */
export interface ScoreAnswer {
  /** How many each query has. */
  counts: Uint32Array;
  passages: Uint32Array;
  scores: Float64Array;
}

/** Queries of one task: a larger batch is shared out among the workers, and read while the rest is scored. */
const mostQueriesPerTask = 16;
const tasksPerWorker = 2;

export class ScoringInWorkers implements Scoring {
  readonly #pool: WorkerPool<ScoreTask, ScoreAnswer>;
  readonly #workers: number;

  private constructor(pool: WorkerPool<ScoreTask, ScoreAnswer>, workers: number) {
    this.#pool = pool;
    this.#workers = workers;
  }

  /** Arrays of the snapshot that do not lie in SharedArrayBuffers are copied for every worker. */
  static async open(snapshot: Bm25Snapshot, workers: number): Promise<ScoringInWorkers> {
    const module = new URL("./score-worker", import.meta.url);
    const pool = await WorkerPool.open<ScoreTask, ScoreAnswer>({ name: "bm25", module, workers, data: snapshot });
    return new ScoringInWorkers(pool, workers);
  }

  async *top(queries: readonly string[], k: number, signal?: AbortSignal): AsyncGenerator<ScoredPassage[][]> {
    checkSignal(signal);
    const fair = Math.ceil(queries.length / (this.#workers * tasksPerWorker));
    const size = Math.max(1, Math.min(mostQueriesPerTask, fair));
    const answers: Promise<ScoreAnswer>[] = [];
    for (let first = 0; first < queries.length; first += size)
      answers.push(this.#pool.run({ queries: queries.slice(first, first + size), k }, { signal }));
    // The first that fails is thrown below; the others must not be called unhandled.
    for (const answer of answers) answer.catch(() => {});
    for (const answer of answers) yield ranked(await answer);
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }
}

function ranked({ counts, passages, scores }: ScoreAnswer): ScoredPassage[][] {
  let next = 0;
  return Array.from(counts, (count) =>
    Array.from({ length: count }, () => ({ passage: passages[next], score: scores[next++] })),
  );
}
