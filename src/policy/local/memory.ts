/** @file What memory is planned for: the options of a policy, and what is usual where they say nothing. */
import { defaultMemoryLimit } from "../../engine/memory/limit.js";
import { planMemory } from "../../engine/memory/plan.js";
import type { ModelConfig } from "../../engine/model/config.js";
import type { LoraConfig } from "../../engine/model/lora.js";
import type { LocalOptions } from "./protocol.js";
import type { MemoryPlan } from "../../contracts/policy.js";

/** Most sequences that are sampled at once. */
export const defaultBatch = 128;
const longestDefaultContext = 4096;
/** Of a sequence, where it is not known how long they will be. */
const usualRow = 512;
const usualGroup = 8;

/** Most tokens of prefix and sample together. */
export function contextLengthOf(options: LocalOptions, { maxPositions }: ModelConfig): number {
  return Math.min(maxPositions, options.contextLength ?? longestDefaultContext);
}

/**
 * The plan for a model that is about to be read.
 * @throws UserError when there is too little memory for it
 */
export function planFor(options: LocalOptions, config: ModelConfig, lora: LoraConfig | undefined): MemoryPlan {
  const { workload = {} } = options;
  const contextLength = contextLengthOf(options, config);
  const rowTokens = Math.min(contextLength, workload.rowTokens ?? usualRow);
  return planMemory({
    config,
    lora,
    sampling: workload.sampling ?? true,
    training: workload.training ?? true,
    logprobs: workload.logprobs ?? "never",
    rowTokens,
    lossTokens: Math.min(rowTokens, workload.lossTokens ?? rowTokens),
    groupSize: workload.groupSize ?? usualGroup,
    critic: options.critic ?? workload.critic ?? false,
    entropy: workload.entropy ?? false,
    contextLength,
    maxBatch: options.maxBatch ?? defaultBatch,
    heldBytes: process.memoryUsage.rss(),
    limitBytes: options.memoryBytes ?? defaultMemoryLimit(),
    recompute: options.recompute ?? "auto",
    microBatchTokens: options.microBatchTokens,
    cacheBytes: options.cacheBytes,
  });
}
