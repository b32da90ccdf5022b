/** @file What turns texts into vectors: a model in a worker, or an `/v1/embeddings` endpoint. */
import type { SearchOptions } from "../engine.js";

/** Encoders of the E5 kind read queries and passages differently. */
export type TextKind = "query" | "passage";

/** What opens an encoder again: kept with an index, so that nobody has to name the encoder of an index that is searched. No keys. */
export interface EncoderSource {
  /** A folder or ONNX file, `hf:ORG/NAME`, or the address of an `/v1/embeddings` endpoint. */
  location: string;
  /** The model's name at an endpoint; elsewhere which ONNX file of several: "fp16", "quantized", "int8", "q4". Default "". */
  model?: string;
  /** Put before queries and passages. Default: as the model's name calls for. */
  queryPrefix?: string;
  passagePrefix?: string;
  /** Default: as the model's files say, else by its name. */
  pooling?: "mean" | "cls";
  /** Default: as the model's files say, else 512. */
  maxTokens?: number;
}

export interface Encoder {
  /**
   * Model, pooling, prefixes and normalisation in one line. Kept with every index: vectors of different encoders do not compare, and an
   * index opened with another encoder is an error.
   */
  readonly name: string;
  /** Absent where only whoever made the encoder can make it again. */
  readonly source?: EncoderSource;
  /** Numbers in a vector; 0 until the first text was encoded where an endpoint does not say. */
  readonly dimensions: number;
  /**
   * A vector of unit length for each text: row-major, [texts × dimensions]. A text's vector does not depend on the other texts.
   * @throws SearchError when the model or the endpoint fails; the signal's reason
   */
  encode(texts: readonly string[], kind: TextKind, options?: SearchOptions): Promise<Float32Array>;
  counts?(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}
