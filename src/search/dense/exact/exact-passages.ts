/** @file Exact nearest passages: every vector is looked at, in a worker. To about 200,000 passages that takes milliseconds. */
import { availableParallelism } from "node:os";
import { OnnxEmitter, type EncodedModel } from "../../../engine/onnx/emitter.js";
import { UserError } from "../../../errors.js";
import type { Passage } from "../../../types.js";
import { WorkerPool } from "../../../workers/pool.js";
import { WorkerGone } from "../../../workers/thread.js";
import { DamagedPassage, scoredPassage, type PassageSource } from "../../passages.js";
import { SearchError, checkCount, checkSignal, type SearchOptions } from "../../engine.js";
import type { NearestPassages } from "../engine.js";
import type { ExactAnswer, ExactData, ExactTask, VectorFile } from "./worker.js";

/** Queries multiplied at once; more in one product are no faster each. */
const queriesPerTask = 64;

export interface ExactOptions {
  /** Cores that multiply. Default: all. */
  threads?: number;
}

/** What is needed of a source of passages. */
type Passages = Pick<PassageSource, "count" | "read" | "close">;

interface Parts {
  passages: Passages;
  vectors: VectorFile;
  dimensions: number;
  encoder: string | undefined;
}

export class ExactPassages implements NearestPassages {
  readonly dimensions: number;
  readonly encoder: string | undefined;
  readonly #passages: Passages;
  readonly #pool: WorkerPool<ExactTask, ExactAnswer>;
  #isClosed = false;

  private constructor({ passages, dimensions, encoder }: Parts, pool: WorkerPool<ExactTask, ExactAnswer>) {
    this.#passages = passages;
    this.dimensions = dimensions;
    this.encoder = encoder;
    this.#pool = pool;
  }

  /**
   * Starts the worker, which reads the vectors. Closes `passages` with itself.
   * @throws UserError for a vector file that is not what was written
   */
  static async open(parts: Parts, options: ExactOptions = {}): Promise<ExactPassages> {
    const { threads = availableParallelism() } = options;
    const { vectors, dimensions } = parts;
    const data: ExactData = { vectors, dimensions, threads, product: productGraph() };
    const module = new URL("./worker", import.meta.url);
    const pool = await WorkerPool.open<ExactTask, ExactAnswer>({ name: "dense search", module, workers: 1, data });
    return new ExactPassages(parts, pool);
  }

  get count(): number {
    return this.#passages.count;
  }

  async search(queries_Q_E: Float32Array, k: number, { signal }: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(signal);
    const { dimensions } = this;
    if (queries_Q_E.length % dimensions !== 0)
      throw this.#error(`${queries_Q_E.length} numbers are not queries of ${dimensions} dimensions`);
    if (!queries_Q_E.every(Number.isFinite)) throw this.#error("a query's vector holds a number that is not finite");
    const most = Math.min(k, this.count);
    const starts = Array.from(
      { length: Math.ceil(queries_Q_E.length / (queriesPerTask * dimensions)) },
      (_, task) => task * queriesPerTask * dimensions,
    );
    const answers: ExactAnswer[] = [];
    for (const start of starts) {
      const task = { queries_Q_E: queries_Q_E.slice(start, start + queriesPerTask * dimensions), k: most };
      answers.push(await this.#ask(task, signal));
    }
    const lists: Passage[][] = [];
    for (const { counts, rows, scores } of answers) {
      let start = 0;
      for (const count of counts) {
        lists.push(await this.#read(rows.subarray(start, start + count), scores.subarray(start, start + count)));
        start += count;
      }
    }
    checkSignal(signal);
    return lists;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#pool.close();
    await this.#passages.close();
  }

  async #ask(task: ExactTask, signal: AbortSignal | undefined): Promise<ExactAnswer> {
    try {
      return await this.#pool.run(task, { signal, transfer: [task.queries_Q_E.buffer as ArrayBuffer] });
    } catch (error) {
      checkSignal(signal);
      if (error instanceof UserError || !(error instanceof Error)) throw error;
      // A worker that died was replaced.
      throw this.#error(error.message, error, error instanceof WorkerGone && !this.#isClosed);
    }
  }

  async #read(rows: Uint32Array, scores: Float64Array): Promise<Passage[]> {
    try {
      const passages = await this.#passages.read([...rows]);
      return passages.map((passage, index) => scoredPassage(passage, scores[index]));
    } catch (error) {
      if (error instanceof DamagedPassage) throw this.#error(error.message, error);
      throw error;
    }
  }

  #error(why: string, cause?: unknown, isRetryable = false): SearchError {
    return new SearchError(`Dense search: ${why.replace(/\.$/, "")}.`, { engine: "dense", isRetryable, cause });
  }
}

/** scores [A, B] = a [A, E] · b [B, E]ᵀ */
function productGraph(): EncodedModel {
  const emitter = new OnnxEmitter();
  emitter.input("a", ["A", "E"], "float32");
  emitter.input("b", ["B", "E"], "float32");
  emitter.emitNamed("Gemm", ["a", "b"], ["scores"], { transB: 1 });
  emitter.output("scores", ["A", "B"], "float32");
  return emitter.encode();
}
