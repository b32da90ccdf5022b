/**
 * @file The tiny run with a policy that has an edge of stability: above a learning rate, each update blurs its table, as too large steps blur a
 * network. Warm-up leads across that edge, so the run learns, and then collapses.
 */
import type { Question } from "../../types.js";
import type { ConfigInput } from "../config/config.js";
import { tinyConfig, tinyParts } from "../tiny-run.test-support.js";
import type { TrainOptions } from "../train.js";

const edge = 0.3;
/** What is left of a logit. */
const blur = 0.9;

export function unstableParts(): TrainOptions & { policy: ReturnType<typeof tinyParts>["policy"] } {
  const parts = tinyParts();
  const { policy } = parts;
  const unstable = {
    ...policy,
    optimStep: async (options: Parameters<typeof policy.optimStep>[0]) => {
      const result = await policy.optimStep(options);
      if (options.learningRate > edge) {
        const table = policy.table();
        table.forEach((logit, index) => (table[index] = logit * blur));
      }
      return result;
    },
  };
  const validation = Array.from({ length: 40 }, (_, index): Question => ({
    id: `v${index}`,
    question: `which letter, ${index}?`,
    answers: ["a"],
  }));
  return { ...parts, policy: unstable, validation, test: [] };
}

export function unstableConfig(
  folder: string,
  watch: ConfigInput["watch"] = {},
  train: ConfigInput["train"] = {},
): ConfigInput {
  const base = tinyConfig(folder, {
    ...{ steps: 28, testSize: 0, evalEvery: 2, evalSize: 40, checkpointEvery: 5, saveTrajectories: 0 },
    ...train,
  });
  return {
    ...base,
    algorithm: { groupSize: 8 },
    optimizer: { learningRate: 0.4, warmupSteps: 10, maxGradNorm: 0, schedule: "constant" },
    watch,
  };
}
