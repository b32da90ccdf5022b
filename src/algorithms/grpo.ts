/**
 * @file GRPO (arXiv:2402.03300, eq. 3) as Search-R1 uses it (arXiv:2503.09516, eq. 4): clipped surrogate on
 * group-relative advantages, retrieved tokens masked, k3 KL to the frozen start inside the loss.
 *
 * 1. The standard deviation is the sample one (n − 1).
 * 2. The mean is over all policy tokens of the update, not over each sequence: a micro-batch with few tokens weighs
 *    little. `aggregation` brings back the paper's form.
 * 3. Retrieved tokens carry no loss; the final reward reaches every policy token, before and after searches.
 * 4. Groups without variance are left out and counted, unless KL is used: then they still hold the policy near its start.
 * 5. A group of one gets advantage 0 (see `advantage/group.ts`).
 * 6. Trajectories that were cancelled or whose search engine failed are neither compared nor trained on.
 */
import type { LossSpec } from "../policy/policy.js";
import type { GroupAdvantageOptions } from "./advantage/group.js";
import { groupAdvantages } from "./advantage/group.js";
import type { Aggregation } from "./aggregate.js";
import type { Algorithm, Scored } from "./algorithm.js";
import { assemble, comparable, mean } from "./algorithm.js";

/** Settings of GRPO; the defaults are Search-R1's without KL. */
export interface GrpoOptions extends GroupAdvantageOptions {
  /** Default PPO's clip with 0.2 on both sides. */
  loss?: Exclude<LossSpec, { kind: "cross_entropy" }>;
  /** β of the KL to the frozen start; the original's is 0.001. Default 0. */
  klCoefficient?: number;
  /** Default "token-mean". */
  aggregation?: Aggregation;
  /** For aggregation "constant". */
  constantTokens?: number;
  /** False: the ablation in which environment tokens carry loss. Default true. */
  maskRetrieved?: boolean;
}

/**
 * GRPO (arXiv:2402.03300, eq. 3) with Search-R1's mask. `makeData` folds advantages and aggregation into `advantages_T`, 0 outside the
 * policy's words.
 * @throws Error (internal), from `makeData`, when a group's rewards do not pair with its trajectories
 */
export function grpo(options: GrpoOptions = {}): Algorithm {
  const {
    loss = { kind: "ppo", clipLow: 0.2, clipHigh: 0.2 },
    klCoefficient = 0,
    aggregation = "token-mean",
    constantTokens,
    maskRetrieved = true,
    std,
    epsilon,
  } = options;
  return {
    name: "grpo",
    klCoefficient,
    initialState: () => ({}),
    makeData(groups, state) {
      const compared = groups.map(comparable).filter(({ rewards_G }) => rewards_G.length > 0);
      const judged = compared.map((group) => ({ group, ...groupAdvantages(group.rewards_G, { std, epsilon }) }));
      const scored: Scored[] = judged
        .filter(({ zeroVariance }) => !zeroVariance || klCoefficient > 0)
        .flatMap(({ group, advantages_G }) =>
          group.trajectories_G.map((trajectory, member) => ({ trajectory, advantage: advantages_G[member] })),
        );
      const { data_D, shares_D, lacksLogprobs, ...tokenStats } = assemble(scored, {
        aggregation,
        constantTokens,
        maskRetrieved,
      });
      const rewards = compared.flatMap(({ rewards_G }) => rewards_G);
      const trajectories = groups.reduce((sum, { trajectories_G }) => sum + trajectories_G.length, 0);
      const reasons = judged.flatMap(({ explanation }) => (explanation === undefined ? [] : [explanation]));
      return {
        data_D,
        loss,
        shares_D,
        lacksLogprobs,
        state,
        stats: {
          groups: groups.length,
          zeroVarianceGroups: judged.filter(({ zeroVariance }) => zeroVariance).length,
          trajectories,
          excludedTrajectories: trajectories - rewards.length,
          meanReward: mean(rewards),
          ...tokenStats,
          explanations: [...new Set(reasons)],
        },
      };
    },
  };
}
