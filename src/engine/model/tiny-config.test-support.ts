/** @file The model that tests of the engine compute with: small enough to be instant, with every part of a real one. */
import type { ModelConfig } from "./config.js";

/** Two Llama layers with grouped queries; `overrides` says what a test needs otherwise. */
export function tinyConfig(overrides: Partial<ModelConfig> = {}): ModelConfig {
  return {
    modelType: "llama",
    hiddenSize: 64,
    intermediateSize: 96,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    vocabSize: 300,
    rmsNormEps: 1e-5,
    ropeTheta: 10000,
    tieWordEmbeddings: true,
    attentionBias: false,
    qkNorm: false,
    maxPositions: 128,
    eosTokenIds: [0],
    ...overrides,
  };
}
