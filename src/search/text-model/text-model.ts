/** @file An encoder or cross-encoder in worker threads. */
import { availableParallelism } from "node:os";
import type { Pair } from "../engine.js";
import { mapConcurrent } from "../../async.js";
import type { PullOptions } from "../../hub/fetch.js";
import { UserError } from "../../errors.js";
import { WorkerPool } from "../../workers/pool.js";
import { WorkerGone } from "../../workers/thread.js";
import { SearchError, checkSignal, type SearchOptions } from "../engine.js";
import type { ModelFolder } from "./model-folder.js";
import type { Pooling } from "./sentence-folder.js";
import type { ModelAnswer, ModelTask, TextModelData, VectorRecipe } from "./computation.js";

export interface TextModelOptions {
  /** Threads of JavaScript, each with a copy of the weights: for encoding a corpus, as many as there are cores. Default 1. */
  workers?: number;
  /** Cores of each. Default: all, divided by `workers`. */
  threads?: number;
  /** Most tokens of a text. Default: as the model's files say, else 512. */
  maxTokens?: number;
  /** How a model of the Hub (`hf:ORG/NAME`) is fetched. */
  hub?: PullOptions;
}

/** Texts handed to a worker at a time. A caller that gives up need not wait, but the worker finishes these. */
const rowsPerTask = 32;

export class TextModel {
  readonly maxTokens: number;
  /** Numbers in a vector, or logits of a pair. */
  readonly width: number;
  /** How vectors are pooled; undefined for models that score pairs. */
  readonly pooling: Pooling | undefined;
  readonly #engine: string;
  readonly #folder: string;
  readonly #pool: WorkerPool<ModelTask, ModelAnswer>;
  readonly #workers: number;
  #isClosed = false;

  private constructor(
    pool: WorkerPool<ModelTask, ModelAnswer>,
    facts: { engine: string; folder: string; workers: number; width: number; maxTokens: number; pooling?: Pooling },
  ) {
    this.#pool = pool;
    this.#engine = facts.engine;
    this.#folder = facts.folder;
    this.#workers = facts.workers;
    this.width = facts.width;
    this.pooling = facts.pooling;
    this.maxTokens = facts.maxTokens;
  }

  /**
   * Starts the workers and runs the model once.
   * @param engine for errors: "dense", "rerank"
   * @param recipe how texts become vectors; undefined for models that score pairs
   * @param probe what to run it on
   * @throws UserError when the model's files cannot be used
   */
  static async open(
    engine: string,
    model: ModelFolder,
    recipe: VectorRecipe | undefined,
    probe: ModelTask,
    options: TextModelOptions = {},
  ): Promise<TextModel> {
    const { workers = 1, maxTokens = model.maxTokens } = options;
    if (!Number.isSafeInteger(maxTokens) || maxTokens < 4)
      throw new UserError(
        `maxTokens must be a whole number of at least 4, got ${maxTokens} for the model in ${model.folder}.`,
      );
    if (model.positions !== undefined && maxTokens > model.positions)
      throw new UserError(
        `maxTokens is ${maxTokens}, but the model in ${model.folder} has positions for ${model.positions} tokens. Choose no more.`,
      );
    const { threads = Math.max(1, Math.floor(availableParallelism() / workers)) } = options;
    const data: TextModelData = { model, threads, recipe, maxTokens };
    const module = new URL("./worker", import.meta.url);
    let pool: WorkerPool<ModelTask, ModelAnswer> | undefined;
    try {
      pool = await WorkerPool.open<ModelTask, ModelAnswer>({
        name: `${engine} model`,
        module,
        workers,
        data,
        isNative: true,
      });
      const { width, pooling } = await pool.run(probe);
      return new TextModel(pool, { engine, folder: model.folder, workers, width, maxTokens, pooling });
    } catch (error) {
      await pool?.close();
      if (error instanceof UserError || !(error instanceof Error)) throw error;
      const why = error.message.replace(/\.$/, "");
      throw new UserError(`The model in ${model.folder} cannot be used: ${why}. Copy it again from its source.`, {
        cause: error,
      });
    }
  }

  /** Unit vectors, [texts × width]. `prompt` is put before each text. */
  embed(texts: readonly string[], prompt: string, options: SearchOptions = {}): Promise<Float32Array> {
    return this.#each(
      texts,
      (text) => text.length,
      (some) => ({ texts: some, prompt }),
      options,
    );
  }

  /** Logits, [pairs × width]. */
  score(pairs: readonly Pair[], options: SearchOptions = {}): Promise<Float32Array> {
    return this.#each(
      pairs,
      ({ query, passage }) => query.length + passage.length,
      (some) => ({ pairs: some.map(({ query, passage }) => ({ query, passage })) }),
      options,
    );
  }

  /** Ends the workers; calls under way fail. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#pool.close();
  }

  /** Rows of like length go to one worker together; answers come back in the callers' order. */
  async #each<Row>(
    rows: readonly Row[],
    lengthOf: (row: Row) => number,
    taskOf: (rows: Row[]) => ModelTask,
    { signal }: SearchOptions,
  ): Promise<Float32Array> {
    checkSignal(signal);
    const { width } = this;
    const order = rows.map((_, place) => place).sort((a, b) => lengthOf(rows[b]) - lengthOf(rows[a]) || a - b);
    const values = new Float32Array(rows.length * width);
    const starts = Array.from({ length: Math.ceil(rows.length / rowsPerTask) }, (_, task) => task * rowsPerTask);
    const run = async (first: number, inner: AbortSignal): Promise<void> => {
      const places = order.slice(first, first + rowsPerTask);
      const answer = await this.#pool.run(taskOf(places.map((place) => rows[place])), { signal: inner });
      for (const [index, place] of places.entries())
        values.set(answer.values.subarray(index * width, (index + 1) * width), place * width);
    };
    try {
      // One task more than there are workers: none waits for the next one.
      await mapConcurrent(starts, this.#workers + 1, run, { signal });
    } catch (error) {
      checkSignal(signal);
      throw this.#failure(error);
    }
    return values;
  }

  #failure(error: unknown): unknown {
    if (error instanceof UserError || error instanceof SearchError || !(error instanceof Error)) return error;
    // A worker that died was replaced; what a model computes is computed again in the same way.
    const isRetryable = error instanceof WorkerGone && !this.#isClosed;
    return new SearchError(`The model in ${this.#folder} failed: ${error.message.replace(/\.$/, "")}.`, {
      engine: this.#engine,
      isRetryable,
      cause: error,
    });
  }
}
