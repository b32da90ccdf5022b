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
 * What differs from `smollm2`: budgets are measured, since every corpus has other passages; one is shown, so that half as much
 * is to be read and nothing is copied from the wrong one; a turn has room for a quoted sentence (of the script's transcripts 99 of 100 turns have at most 55 tokens, and none of 816 more than 64). Transcripts are many, and each is seen once.
 * Two sampled attempts in five succeed, so reinforcement takes smaller steps than there; attempts are sampled from a nucleus, since the tail of a weak policy spells nonsense. The best checkpoint is chosen on more validation
 * questions than a step has, since a gain is to be told from chance.
 */
export const documents = mergeConfig(
  smollm2,
  defineConfig({
    search: { topK: 1 },
    rollout: { maxSearches: 2, maxTokensPerTurn: 80, maxTokens: "auto", maxObservationTokens: "auto", topP: 0.9 },
    sft: { transcripts: "", epochs: 1, batch: 4, validation: 16, learningRate: 5e-4 },
    algorithm: { groupSize: 6 },
    optimizer: { learningRate: 1e-4 },
    train: {
      steps: 40,
      questionsPerStep: 8,
      evalEvery: 10,
      evalSize: 100,
      testSize: 200,
      checkpointEvery: 2,
      stopAfterSeconds: 1800,
    },
  }),
);
