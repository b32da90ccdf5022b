/** @file The reward of a configuration: its named weights, in their stages. */
import { protocolNamed } from "../prompts/protocol.js";
import { rewardsFor, stagedReward } from "../rewards/combine.js";
import type { Reward } from "../rewards/reward.js";
import type { Config } from "./config.js";
import type { Opened } from "./parts.js";

/**
 * The reward of a configuration, in all its stages.
 * @throws UserError for unknown names, weights that are no numbers and stages that are out of order
 */
export async function openReward(config: Config): Promise<Opened<Reward>> {
  const { weights, stages } = config.reward;
  return { value: stagedReward(weights, stages, namedRewards(config)), close: () => Promise.resolve() };
}

/** Every reward that a configuration can name, with its settings. */
export function namedRewards({ rollout, reward, faithful }: Config, judge?: Reward): Record<string, Reward> {
  return rewardsFor(protocolNamed(rollout.protocol), {
    textScoring: faithful.textScoring,
    maxTokens: rollout.maxTokens,
    overlongBuffer: reward.overlongBuffer === 0 ? undefined : reward.overlongBuffer,
    length: { budget: reward.lengthBudget, perToken: reward.lengthPrice },
    judge,
  });
}
