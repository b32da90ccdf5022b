/** @file Search-R1 (arXiv:2503.09516) as configurations: the demo on the built-in world, and the paper's own settings. */
import { defineConfig } from "../../train/config.js";

/**
 * The demo: a 1M-parameter model learns to answer 1-, 2- and 3-hop questions about countries. The differences from the
 * paper come from the size of the model and of the passages: one fact or two per passage, so one passage per search and
 * more searches; a higher learning rate; no KL, since 60 steps do not drift far.
 */
export const atlasDemo = defineConfig({
  model: { folder: "atlas-base" },
  data: { questions: "atlas", corpus: "atlas" },
  search: { engine: "bm25", topK: 1 },
  rollout: {
    protocol: "atlas",
    maxSearches: 4,
    maxTokensPerTurn: 64,
    maxTokens: 448,
    maxObservationTokens: 128,
    temperature: 1,
  },
  reward: { weights: { "exact-match": 1 } },
  algorithm: { name: "grpo", groupSize: 8, clip: 0.2, kl: 0, normalise: true, maskRetrieved: true },
  optimizer: {
    learningRate: 5e-4,
    schedule: "linear",
    finalShare: 0.1,
    warmupSteps: 3,
    beta1: 0.9,
    beta2: 0.95,
    weightDecay: 0,
    maxGradNorm: 1,
  },
  train: {
    steps: 60,
    questionsPerStep: 16,
    updatesPerBatch: 1,
    evalEvery: 5,
    evalSize: 100,
    testSize: 300,
    evalModes: "both",
    keepBest: "average",
    checkpointEvery: 10,
  },
});

/**
 * The paper's GRPO settings (script v0.2): 512 questions per step in ten updates, 3 passages, up
 * to 4 searches, KL 0.001. Give it a model, questions, and an index or a /retrieve server.
 */
export const paper = defineConfig({
  search: { engine: "bm25", topK: 3, k1: 0.9, b: 0.4 },
  rollout: {
    protocol: "search-r1",
    maxSearches: 4,
    maxTokensPerTurn: 500,
    maxTokens: 4096,
    maxObservationTokens: 500,
    temperature: 1,
  },
  reward: { weights: { "exact-match": 1 } },
  algorithm: { name: "grpo", groupSize: 5, clip: 0.2, kl: 0.001, normalise: true, maskRetrieved: true },
  optimizer: {
    learningRate: 1e-6,
    schedule: "constant",
    warmupSteps: 286,
    beta1: 0.9,
    beta2: 0.999,
    weightDecay: 0.01,
    maxGradNorm: 1,
  },
  train: {
    steps: 1005,
    questionsPerStep: 512,
    updatesPerBatch: 10,
    evalEvery: 100,
    evalSize: 256,
    checkpointEvery: 100,
  },
});
