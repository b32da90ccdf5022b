/**
 * @file A folder of documents to a model that answers, on two cores: SmolLM2-135M-Instruct, an adapter of rank 16, BM25 over passages of about 160 tokens, one
 * search most of the time. First transcripts (`sleuth collect`), then a warm-up on them, then reinforcement from the final answer alone.
 *
 *   sleuth collect --preset documents --questions questions --index index --out transcripts.jsonl
 *   sleuth sft     --preset documents --transcripts transcripts.jsonl --run runs/warm
 *   sleuth train   --preset documents --model runs/warm/best --questions questions --index index --run runs/mine
 */
import { defineConfig, mergeConfig } from "../train/config/config.js";
import { smollm2 } from "./search-r1/smollm2.js";

/**
 * What differs from `smollm2`: passages of real documents are three times as long as those of the built-in world, so two of them are shown, budgets are
 * measured, and a step has fewer attempts. A turn has room for a quoted sentence.
 */
export const documents = mergeConfig(
  smollm2,
  defineConfig({
    search: { topK: 2 },
    rollout: { maxSearches: 2, maxTokensPerTurn: 80, maxTokens: "auto", maxObservationTokens: "auto" },
    sft: { transcripts: "", epochs: 2, batch: 8, validation: 16, learningRate: 5e-4 },
    algorithm: { groupSize: 8 },
    train: {
      steps: 24,
      questionsPerStep: 6,
      evalEvery: 8,
      evalSize: 48,
      testSize: 160,
      checkpointEvery: 2,
      stopAfterSeconds: 2100,
    },
  }),
);
