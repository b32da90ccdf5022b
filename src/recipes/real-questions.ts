/**
 * @file Questions that people asked, over leads of Wikipedia: SmolLM2-135M-Instruct on two cores. First transcripts of the training questions, made by a script
 * that is told the right answers, then a warm-up on them, then reinforcement from the final answer alone.
 *
 *   npm run fixtures:real-questions
 *   sleuth index .cache/real-questions/corpus.jsonl --out index
 *   sleuth collect --preset real-questions --policy oracle --questions questions --index index --out transcripts.jsonl --limit 2000
 *   sleuth sft     --preset real-questions --transcripts transcripts.jsonl --run runs/warm
 *   sleuth train   --preset real-questions --model runs/warm/best --questions questions --index index --run runs/mine
 */
import { defineConfig, mergeConfig } from "../train/config/config.js";
import { documents } from "./documents.js";

/**
 * What differs from `documents`: the transcripts are fewer and are seen twice, and the best checkpoint is chosen on questions that neither warm-up nor
 * reinforcement has seen. One passage is shown, as there: it holds an answer four times in five (three hold one 0.93 times, and take three times as long to read; not tried).
 */
export const realQuestions = mergeConfig(
  documents,
  defineConfig({
    sft: { epochs: 2, batch: 8, validation: 24 },
    algorithm: { groupSize: 8 },
    optimizer: { learningRate: 2e-4 },
    train: { steps: 30, questionsPerStep: 8, evalEvery: 10, evalSize: 100, testSize: 0, stopAfterSeconds: 0 },
  }),
);
