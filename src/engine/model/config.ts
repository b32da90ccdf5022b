/** @file What distinguishes one model of the Llama family from another, rotary frequencies (RoPE, arXiv:2104.09864) included. */

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

/**
 * How the rotary frequencies differ from theta^(−2i/headDim). `linear` divides all of them (arXiv:2306.15595). `llama3` leaves the
 * fast ones, divides the slow ones, and goes from one to the other in between, as Llama 3.1 does.
 */
export type RopeScaling =
  | { type: "linear"; factor: number }
  | {
      type: "llama3";
      factor: number;
      /** Frequencies that turn less often than this within the original context are divided by `factor`. */
      lowFrequencyFactor: number;
      /** Frequencies that turn more often than this within the original context stay. */
      highFrequencyFactor: number;
      originalMaxPositions: number;
    };

/** Radians per position of each of the headDim/2 rotated pairs. */
export function rotaryFrequencies(config: Pick<ModelConfig, "headDim" | "ropeTheta" | "ropeScaling">): Float64Array {
  const { headDim, ropeTheta, ropeScaling } = config;
  return Float64Array.from({ length: headDim / 2 }, (_, pair) => {
    const frequency = ropeTheta ** (-(2 * pair) / headDim);
    return ropeScaling ? frequency / stretch(ropeScaling, frequency) : frequency;
  });
}

/** What a frequency is divided by. */
function stretch(scaling: RopeScaling, frequency: number): number {
  if (scaling.type === "linear") return scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions } = scaling;
  const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
  const smooth = Math.min(1, Math.max(0, (turns - low) / (high - low)));
  return 1 / ((1 - smooth) / factor + smooth);
}

/** More layers than any model has: a file that asks for more is damaged, and listing their tensors would take for ever. */
export const mostLayers = 10_000;
