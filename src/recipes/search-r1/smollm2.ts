/**
 * @file Search-R1 on a real language model: SmolLM2-135M-Instruct learns to search the built-in world, with an adapter of rank
 * 16 on two processor cores. First a short supervised warm-up, then reinforcement; every number is chosen so that a step of
 * the latter takes a minute or two there.
 *
 *   sleuth sft   --config src/recipes/search-r1/smollm2.ts --run runs/smollm2-sft
 *   sleuth train --config src/recipes/search-r1/smollm2.ts --run runs/smollm2 --model runs/smollm2-sft/best
 */
import { defineConfig } from "../../train/config/config.js";

/** Where `npm run fixtures:smollm2` puts the model; `SLEUTH_SMOLLM2` names another place, or a model of the Hub (hf:ORG/NAME). */
export const smollm2Model = process.env.SLEUTH_SMOLLM2 ?? ".cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/**
 * Of an attempt's tokens (medians under SmolLM2's tokenizer): instruction 53, chat template 30, question 16; a turn of the
 * policy 29, at most 49 in the warm-up's transcripts; two passages with their tags 67, at most 91. An attempt has about 300.
 */
export const smollm2 = defineConfig({
  model: { folder: smollm2Model, adapt: "lora", loraRank: 16, loraAlpha: 32, loraTargets: "all-linear" },
  data: { questions: "atlas", corpus: "atlas", maxHops: 2 },
  search: { engine: "bm25", topK: 2 },
  rollout: {
    protocol: "search-r1-short",
    chat: "auto",
    maxSearches: 3,
    maxTokensPerTurn: 56,
    maxTokens: 512,
    maxObservationTokens: 112,
    temperature: 1,
  },
  // Short: after one epoch no 2-hop attempt succeeds, after two every fifth one does at temperature 1. The rest is left for reinforcement.
  sft: { transcripts: "atlas", count: 160, epochs: 2, batch: 8, validation: 16, learningRate: 5e-4 },
  reward: { weights: { "exact-match": 1 } },
  algorithm: { name: "grpo", groupSize: 8, clip: 0.2, kl: 0, std: "sample", maskRetrieved: true },
  optimizer: {
    learningRate: 2e-4,
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
    questionsPerStep: 8,
    microBatchTokens: 2048,
    evalEvery: 15,
    evalSize: 100,
    testSize: 240,
    evalModes: "greedy",
    keepBest: "greedy",
    checkpointEvery: 2,
    stopAfterSeconds: 6300,
  },
});

export default smollm2;
