/**
 * @file The smallest run that learns, for tests: of four answers one is right, a search is possible, and the tabular
 * policy finds out. A child process that is killed runs it too (`killed-run.test-support.ts`).
 */
import type { SearchEngine } from "../search/engine.js";
import type { Question } from "../types.js";
import type { ConfigInput } from "./config/config.js";
import { tabularPolicy } from "./tabular-policy.test-support.js";
import type { EvaluateOnceOptions } from "./evaluate.js";
import type { TrainOptions } from "./train.js";

export const tinyQuestions: Question[] = Array.from({ length: 40 }, (_, index) => ({
  id: `q${index}`,
  question: `which letter, ${index}?`,
  answers: ["a"],
  hops: 1,
}));

/** Configuration of the tiny run; `folder` is where it is written. */
export function tinyConfig(folder: string, train: ConfigInput["train"] = {}): ConfigInput {
  return {
    run: { folder },
    rollout: { maxSearches: 1, maxTokensPerTurn: 8, maxTokens: 96 },
    algorithm: { groupSize: 4 },
    optimizer: { learningRate: 0.2, warmupSteps: 1 },
    train: {
      steps: 8,
      questionsPerStep: 4,
      evalEvery: 3,
      evalSize: 4,
      testSize: 8,
      checkpointEvery: 2,
      saveTrajectories: 1,
      ...train,
    },
  };
}

/** A search engine that always finds the same passage. */
const sameSearch: SearchEngine = {
  name: "always the same",
  searchBatch: (queries) =>
    Promise.resolve(queries.map(() => [{ id: "1", title: "Letters", text: "a is a letter.", score: 1 }])),
  close: () => Promise.resolve(),
};

/** Fresh parts for it. */
export function tinyParts(): TrainOptions & { policy: ReturnType<typeof tabularPolicy> } {
  const policy = tabularPolicy({
    habits: [
      "\n<search>q</search>",
      "\n<answer>a</answer>",
      "<answer>b</answer>",
      "<answer>c</answer>",
      "<answer>d</answer>",
    ],
  });
  return { policy, search: sameSearch, questions: tinyQuestions };
}

/** The smallest evaluation: three attempts at temperature 1 at each of its questions, few at once. */
export function tinyEvaluation(): {
  config: ConfigInput;
  options: EvaluateOnceOptions & { policy: ReturnType<typeof tabularPolicy> };
} {
  const { policy, search, questions } = tinyParts();
  const config = { rollout: { maxSearches: 1, maxTokensPerTurn: 8, maxTokens: 96, maxConcurrent: 4 } } as const;
  return { config, options: { policy, search, questions, attempts: 3, temperature: 1, onNotice: () => undefined } };
}
