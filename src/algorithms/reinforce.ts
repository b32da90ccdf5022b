/**
 * @file REINFORCE (Williams, 1992) with a running baseline: the group-of-one case, and the best "group size" of
 * Search-R1's own table 8.
 *
 * 1. A = r − b with b the running mean of earlier batches; the groups' structure is not looked at.
 * 2. The loss is −Σ r·A with importance ratios, which at ratio 1 is REINFORCE and stays right when one batch feeds
 *    several steps. PPO's clip can be chosen instead.
 * 3. Mean over all policy tokens of the update; retrieved tokens carry no loss.
 * 4. Trajectories that were cancelled or whose search engine failed are not trained on.
 */
import type { LossSpec } from "../policy/policy.js";
import type { ReinforceOptions as BaselineOptions } from "./advantage/reinforce.js";
import { reinforceAdvantages } from "./advantage/reinforce.js";
import type { Aggregation } from "./aggregate.js";
import type { Algorithm } from "./algorithm.js";
import { assemble, comparable, mean } from "./algorithm.js";

/** Settings of REINFORCE. */
export interface ReinforceOptions extends BaselineOptions {
  /** Default importance sampling. */
  loss?: Exclude<LossSpec, { kind: "cross_entropy" }>;
  /** Default 0. */
  klCoefficient?: number;
  /** Default "token-mean". */
  aggregation?: Aggregation;
  constantTokens?: number;
  /** Default true. */
  maskRetrieved?: boolean;
}

/**
 * REINFORCE (Williams, 1992) with a running-mean baseline, which `makeData` hands on in its state.
 * @throws Error (internal), from `makeData`, when a group's rewards do not pair with its trajectories
 */
export function reinforce(options: ReinforceOptions = {}): Algorithm {
  const {
    loss = { kind: "importance_sampling" },
    klCoefficient = 0,
    aggregation = "token-mean",
    constantTokens,
    maskRetrieved = true,
    baseline,
    decay,
  } = options;
  return {
    name: "reinforce",
    klCoefficient,
    initialState: () => ({}),
    makeData(groups, state) {
      const compared = groups.map(comparable);
      const trajectories = compared.flatMap(({ trajectories_G }) => trajectories_G);
      const rewards = compared.flatMap(({ rewards_G }) => rewards_G);
      const next = reinforceAdvantages(rewards, state, { baseline, decay });
      const { data_D, shares_D, lacksLogprobs, ...tokenStats } = assemble(
        trajectories.map((trajectory, row) => ({ trajectory, advantage: next.advantages[row] })),
        { aggregation, constantTokens, maskRetrieved },
      );
      const all = groups.reduce((sum, { trajectories_G }) => sum + trajectories_G.length, 0);
      return {
        data_D,
        loss,
        shares_D,
        lacksLogprobs,
        state: next.state,
        stats: {
          groups: groups.length,
          zeroVarianceGroups: 0,
          trajectories: all,
          excludedTrajectories: all - trajectories.length,
          meanReward: mean(rewards),
          ...tokenStats,
          explanations: [],
        },
      };
    },
  };
}
