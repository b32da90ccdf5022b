/** @file What `ExactPassages` and its worker say to each other. */

import type { EncodedModel } from "../../../engine/onnx/emitter.js";

/** Vectors in memory, [rows × dimensions], or a file of little-endian float32 with its size and SHA-256. */
export type VectorPlace =
  { vectors_N_E: Float32Array } | { file: string; bytes: number; sha256: string; /** For messages. */ remedy: string };

export interface ExactData {
  place: VectorPlace;
  dimensions: number;
  threads: number;
  /** The product, encoded: the worker does not load what encodes it. */
  product: EncodedModel;
}

export interface ExactTask {
  /** [queries × dimensions] */
  queries_Q_E: Float32Array;
  k: number;
}

/** For each query `counts[q]` rows with their scores, one after another. */
export interface ExactAnswer {
  counts: Uint32Array;
  rows: Uint32Array;
  scores: Float64Array;
}
