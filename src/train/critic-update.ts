/** @file The updates of the critic: the values it should have given, in the same shares of the batch as the policy's updates. */
import type { AdvantageRow } from "../algorithms/algorithm.js";
import type { ValueDatum } from "../contracts/critic.js";
import { criticOf } from "./evidence.js";
import type { MetricValues } from "./metrics.js";
import { learningRateAt } from "./schedule.js";
import { requireFinite, type LearningStep } from "./update.js";

/**
 * One optimizer step of the critic per share, with its own learning rate.
 * @throws UserError when a loss or a gradient is not a number
 */
export async function updateCritic(
  { policy, step, learningRateScale, config }: LearningStep,
  shares: readonly (readonly AdvantageRow[])[],
): Promise<MetricValues> {
  const critic = criticOf(policy);
  const { learningRate: peak, warmupSteps, clip } = config.critic;
  const learningRate = learningRateAt(step, config.train.steps, {
    ...config.optimizer,
    learningRate: learningRateScale * peak,
    warmupSteps,
    fromZero: config.faithful.firstStepAtZero,
  });
  let [loss, gradNorm, updates] = [0, 0, 0];
  for (const share of shares) {
    const data_D = valueData(share);
    if (data_D.length === 0) continue;
    const result = await critic.forwardBackward(data_D, { clip });
    requireFinite("critic's loss", result.loss, step, "critic.learningRate");
    ({ gradNorm } = await critic.optimStep({ ...config.optimizer, learningRate }));
    requireFinite("critic's gradient norm", gradNorm, step, "critic.learningRate");
    loss += result.loss;
    updates++;
  }
  return {
    "critic/loss": loss / Math.max(1, updates),
    "critic/gradNorm": gradNorm,
    "critic/learningRate": learningRate,
    "updates/critic": updates,
  };
}

/** Every token with an advantage counts the same; rows whose rewards taught the policy nothing teach the critic. */
function valueData(rows: readonly AdvantageRow[]): ValueDatum[] {
  const counts = rows.map(({ advantageMask_T }) => advantageMask_T.reduce((sum, bit) => sum + bit, 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  return rows.flatMap(({ tokens_T, advantageMask_T, returns_T, values_T }, index) => {
    if (counts[index] === 0) return [];
    if (returns_T === undefined || values_T === undefined)
      throw new Error("internal: a critic without returns or values");
    const weights_T = Float32Array.from(advantageMask_T, (bit) => bit / total);
    return [{ tokens_T, mask_T: advantageMask_T, returns_T, oldValues_T: values_T, weights_T }];
  });
}
