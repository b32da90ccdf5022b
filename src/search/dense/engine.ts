/** @file Dense search as a search engine: an encoder makes a vector of each query, and the passages whose vectors are nearest are found. */
import { UserError } from "../../errors.js";
import type { Passage } from "../../types.js";
import { isAnswer, type Refused } from "../../http/chunks.js";
import {
  SearchError,
  answeredLists,
  checkCount,
  checkSignal,
  forDistinct,
  type PassageList,
  type SearchEngine,
  type SearchOptions,
} from "../engine.js";
import { Coalescer } from "../middleware/coalesce.js";
import { joined, vectorsOf, type Encoder } from "./encoder.js";

/** Most queries that are encoded in one call. */
const queriesPerCall = 256;

/** Finds the passages near a vector: exactly, over an array in a worker, or approximately, in a LanceDB table. */
export interface NearestPassages {
  /** Passages that can be found. */
  readonly count: number;
  readonly dimensions: number;
  /** `name` of the encoder that made the vectors; undefined where that was not recorded (tables made by others). */
  readonly encoder: string | undefined;
  /**
   * The `k` passages with the largest inner products (cosines: vectors have unit length) for each row of `queries_Q_E` [queries ×
   * dimensions], best first; equal scores in the order of the index.
   */
  search(queries_Q_E: Float32Array, k: number, options?: SearchOptions): Promise<Passage[][]>;
  counts?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export class DenseEngine implements SearchEngine {
  readonly name: string;
  readonly #encoder: Encoder;
  readonly #nearest: NearestPassages;
  /** Queries that are asked at the same time are encoded together: one run of the model, one request. */
  readonly #vectors: Coalescer<Float32Array | Refused>;
  #isClosed = false;

  /**
   * Takes both over and closes them with itself.
   * @param name "dense" or "lancedb"
   * @throws UserError when the passages' vectors were made by another encoder, or have other dimensions
   */
  constructor(encoder: Encoder, nearest: NearestPassages, name = "dense") {
    checkFit(encoder, nearest);
    this.name = name;
    this.#encoder = encoder;
    this.#nearest = nearest;
    this.#vectors = new Coalescer((queries, _, signal) => vectorsOf(encoder, queries, "query", { signal }), {
      maxQueries: queriesPerCall,
      maxCalls: 1,
      retryAlone: true,
    });
  }

  async searchBatch(queries: readonly string[], k: number, { signal }: SearchOptions = {}): Promise<PassageList[]> {
    checkCount(k);
    checkSignal(signal);
    if (this.#isClosed)
      throw new SearchError("Dense search: the engine is closed.", { engine: this.name, isRetryable: false });
    return forDistinct(queries, (distinct) => this.#search(distinct, k, signal));
  }

  counts(): Readonly<Record<string, number>> {
    return { ...this.#nearest.counts?.(), ...this.#encoder.counts?.() };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([this.#encoder.close(), this.#nearest.close()]);
  }

  async #search(queries: readonly string[], k: number, signal: AbortSignal | undefined): Promise<PassageList[]> {
    const answers = await this.#vectors.search(queries, 1, signal);
    const vectors = answers.filter(isAnswer);
    const { dimensions } = this.#nearest;
    const odd = vectors.find(({ length }) => length !== dimensions);
    if (odd !== undefined)
      throw new SearchError(
        `Dense search: the encoder gives ${odd.length} dimensions, the passages have ${dimensions}.`,
        { engine: this.name, isRetryable: false },
      );
    const found = vectors.length === 0 ? [] : await this.#nearest.search(joined(vectors), k, { signal });
    let next = 0;
    return answeredLists(answers.map((answer) => (isAnswer(answer) ? found[next++] : answer)));
  }
}

function checkFit(encoder: Encoder, nearest: NearestPassages): void {
  if (nearest.encoder !== undefined && nearest.encoder !== encoder.name)
    throw new UserError(
      `The passages were encoded by another encoder, and vectors of different encoders do not compare.\n  index: ${nearest.encoder}\n  given: ${encoder.name}\nLeave the encoder out to use the index's own, or build the index anew with the one given.`,
    );
  // An endpoint says how many dimensions it gives with its first answer.
  if (encoder.dimensions !== 0 && encoder.dimensions !== nearest.dimensions)
    throw new UserError(
      `The encoder gives vectors of ${encoder.dimensions} dimensions and the passages have ${nearest.dimensions}: they were encoded by another one. Name that encoder.`,
    );
}
