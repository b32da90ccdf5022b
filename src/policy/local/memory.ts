/** @file What memory is planned for: the options of a policy, and what is usual where they say nothing. */
import { defaultMemoryLimit } from "../../engine/memory/limit.js";
import { planMemory, type MemoryPlan } from "../../engine/memory/plan.js";
import type { ModelConfig } from "../../engine/model/config.js";
import type { LoraConfig } from "../../engine/model/lora.js";
import type { LocalOptions } from "./protocol.js";

/** Most sequences that are sampled at once. */
export const DEFAULT_BATCH = 128;
const LONGEST_DEFAULT_CONTEXT = 4096;
/** Of a sequence, where it is not known how long they will be. */
const USUAL_ROW = 512;
const USUAL_GROUP = 8;

/** Most tokens of prefix and sample together. */
export function contextLengthOf(options: LocalOptions, { maxPositions }: ModelConfig): number {
  return Math.min(maxPositions, options.contextLength ?? LONGEST_DEFAULT_CONTEXT);
}

/**
 * The plan for a model that is about to be read.
 * @throws UserError when there is too little memory for it
 */
export function planFor(options: LocalOptions, config: ModelConfig, lora: LoraConfig | undefined): MemoryPlan {
  const { workload = {} } = options;
  const contextLength = contextLengthOf(options, config);
  const rowTokens = Math.min(contextLength, workload.rowTokens ?? USUAL_ROW);
  return planMemory({
    config,
    lora,
    sampling: workload.sampling ?? true,
    training: workload.training ?? true,
    logprobs: workload.logprobs ?? "never",
    rowTokens,
    lossTokens: Math.min(rowTokens, workload.lossTokens ?? rowTokens),
    groupSize: workload.groupSize ?? USUAL_GROUP,
    critic: options.critic ?? workload.critic ?? false,
    entropy: workload.entropy ?? false,
    contextLength,
    maxBatch: options.maxBatch ?? DEFAULT_BATCH,
    heldBytes: process.memoryUsage.rss(),
    limitBytes: options.memoryBytes ?? defaultMemoryLimit(),
    recompute: options.recompute ?? "auto",
    microBatchTokens: options.microBatchTokens,
    cacheBytes: options.cacheBytes,
  });
}
