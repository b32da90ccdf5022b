/** @file What finds the passages near a vector: exactly, over an array in a worker, or approximately, in a LanceDB table. */
import type { Passage } from "../../types.js";
import type { SearchOptions } from "../engine.js";

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
