/** @file What distinguishes one model of the Llama family from another. */
import type { RopeScaling } from "./rope.js";

/** Architectures that the one builder covers. */
export const modelTypes = ["llama", "qwen2", "qwen3"] as const;
export type ModelType = (typeof modelTypes)[number];

/** A decoder of the Llama family: RMSNorm, RoPE, grouped-query attention, SwiGLU. */
export interface ModelConfig {
  modelType: ModelType;
  /** Width of the residual stream. */
  hiddenSize: number;
  /** Width of the MLP. */
  intermediateSize: number;
  layers: number;
  /** Query heads; a multiple of `kvHeads`. */
  heads: number;
  /** Key/value heads (grouped-query attention, arXiv:2305.13245). */
  kvHeads: number;
  /** Width of one head; even, because RoPE rotates pairs. */
  headDim: number;
  vocabSize: number;
  rmsNormEps: number;
  /** Base of the rotary frequencies (arXiv:2104.09864): theta^(−2i/headDim). Halves are rotated, as in Hugging Face. */
  ropeTheta: number;
  /** How the rotary frequencies are stretched for longer contexts; absent when they are not. */
  ropeScaling?: RopeScaling;
  /** The LM head is the embedding matrix. */
  tieWordEmbeddings: boolean;
  /** Biases on the q, k and v projections (Qwen2); the output projection never has one. */
  attentionBias: boolean;
  /** RMSNorm over each head of q and k before RoPE (Qwen3). */
  qkNorm: boolean;
  /** Longest sequence the model was made for. */
  maxPositions: number;
  eosTokenIds: number[];
}
