/** @file Vectors that were made elsewhere, as a stream. */

export interface VectorRows {
  /** [rows × dimensions], as stored. */
  vectors: Float32Array | Float64Array;
  /** Which passage each row belongs to; absent where rows are in the order of the corpus. */
  ids?: string[];
}

export interface VectorSource {
  /** For messages: the file. */
  readonly name: string;
  readonly dimensions: number;
  readonly count: number;
  rows(): AsyncIterable<VectorRows>;
  close(): Promise<void>;
}
