/** @file Search-R1 (arXiv:2503.09516) as configurations: the demo on the built-in world, and the settings of the papers' scripts. */
import { defineConfig, mergeConfig } from "../../train/config/config.js";

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
  algorithm: { name: "grpo", groupSize: 8, clip: 0.2, kl: 0, std: "sample", maskRetrieved: true },
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
 * What all scripts of the released code (v0.2 and v0.3) have in common: 512 questions per step, three passages, up to four searches,
 * 1,005 steps. Give it a model, questions, and an index or a /retrieve server. The learning rates are for training all weights; an adapter
 * wants rates ten to a hundred times as high.
 */
const scripts = defineConfig({
  model: { adapt: "full" },
  search: { engine: "bm25", topK: 3, k1: 0.9, b: 0.4 },
  rollout: {
    // Search-R1's prompt, or without search the R1 baseline's; atlas-base alone has its own.
    protocol: "auto",
    chat: "auto",
    maxSearches: 4,
    maxTokensPerTurn: 500,
    maxTokens: 4096,
    maxObservationTokens: 500,
    temperature: 1,
    topP: 1,
  },
  reward: { weights: { "exact-match": 1 } },
  // 286 and 15 steps of warm-up are the scripts' shares of 1,005 steps, 0.285 and 0.015, rounded down as there.
  optimizer: {
    learningRate: 1e-6,
    schedule: "constant",
    warmupSteps: 286,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    maxGradNorm: 1,
  },
  train: { steps: 1005, questionsPerStep: 512, epochs: 1, evalEvery: 100, evalSize: 256, checkpointEvery: 100 },
});

/**
 * PPO, the papers' main results (script v0.2, train_ppo.sh). The KL is the estimate k1, taken from the rewards.
 *
 * Two updates per batch here and ten with GRPO: in the released code that was an accident. Minibatches have 256 attempts whatever the size of
 * a group, and GRPO makes five attempts per question. Here the number is a setting: `train.updatesPerBatch`.
 */
export const searchR1Ppo = mergeConfig(
  scripts,
  defineConfig({
    algorithm: {
      name: "ppo",
      groupSize: 1,
      advantage: "gae",
      gamma: 1,
      lambda: 1,
      whiten: true,
      loss: "ppo",
      clip: 0.2,
      aggregation: "token-mean",
      kl: 0.001,
      klIn: "reward",
      klEstimator: "k1",
      klTarget: 0,
      entropy: 0.001,
      maskRetrieved: true,
    },
    critic: { learningRate: 1e-5, warmupSteps: 15, headStart: 0, clip: 0.5 },
    train: { updatesPerBatch: 2 },
  }),
);

/**
 * GRPO (script v0.2, train_grpo.sh). The KL is k3 in the loss. `topP` is what the script falls back to, where the paper prints 1.0; it
 * is one suspect for the collapses that were reported.
 */
export const searchR1Grpo = mergeConfig(
  scripts,
  defineConfig({
    rollout: { topP: 0.95 },
    algorithm: {
      name: "grpo",
      groupSize: 5,
      advantage: "group",
      std: "sample",
      loss: "ppo",
      clip: 0.2,
      aggregation: "token-mean",
      kl: 0.001,
      klIn: "loss",
      klEstimator: "k3",
      klTarget: 0,
      entropy: 0.001,
      maskRetrieved: true,
    },
    train: { updatesPerBatch: 10 },
  }),
);

/** PPO with the follow-up's format reward (arXiv:2505.15117; script v0.3, train_ppo_format.sh): 0.2 for structure, 0.1 for a final answer. */
export const searchR1PpoFormat = mergeConfig(
  searchR1Ppo,
  defineConfig({ reward: { weights: { "search-r1-format": 1 } } }),
);
