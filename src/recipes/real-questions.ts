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

/** What differs from `documents`: the best three passages are shown, since a question's own words find an answer in the first of them three times in four only. */
export const realQuestions = mergeConfig(
  documents,
  defineConfig({
    search: { topK: 3 },
    sft: { epochs: 2, batch: 8, validation: 24 },
    algorithm: { groupSize: 8 },
    train: { steps: 30, questionsPerStep: 16, evalEvery: 6, evalSize: 100, testSize: 0, stopAfterSeconds: 0 },
  }),
);
