/** @file What the sampler needs of a model: two calls over key/value caches that the caller owns. */

/** Shape of one sequence's keys and values. */
export interface KvShape {
  layers: number;
  kvHeads: number;
  headDim: number;
}

/**
 * A batch of rows over caches. `keys[layer]` and `values[layer]` are `[B, kvHeads, capacity, headDim]`; row b has
 * `cachedLengths_B[b]` valid positions, the rest of the capacity is ignored (but must be finite).
 * `capacity` is a multiple of 64, so that the order of summation does not depend on it.
 */
export interface CacheBatch {
  batch: number;
  capacity: number;
  cachedLengths_B: Int32Array;
  keys: readonly Float32Array[];
  values: readonly Float32Array[];
}

export interface PrefillInput extends CacheBatch {
  /** New tokens per row, padded on the right with any valid id. */
  length: number;
  /** `[B, length]` */
  tokens_B_L: Int32Array;
}

export interface DecodeInput extends CacheBatch {
  /** The newest token of each row: its keys and values are computed and the next token's distribution is returned. */
  tokens_B: Int32Array;
  /** Temperature of each row's softmax; must be positive (a greedy row passes 1 and takes the largest). */
  temperatures_B: Float32Array;
}

export interface DecodeOutput {
  /** `[layers, 2, B, kvHeads, 1, headDim]`: keys then values. */
  newKv: Float32Array;
  /** `[B, vocab]`: softmax(logits / temperature). */
  probabilities_B_V: Float32Array;
}

/** What computes for the sampler. Calls come one at a time. */
export interface GenerateBackend {
  readonly kv: KvShape;
  readonly vocabSize: number;
  /** Keys and values of new tokens: `[layers, 2, B, kvHeads, length, headDim]`. Padding positions hold garbage. */
  prefill(input: PrefillInput): Promise<Float32Array>;
  /** Keys and values of the newest token of each row, and the distribution of the next one. */
  decode(input: DecodeInput): Promise<DecodeOutput>;
}
