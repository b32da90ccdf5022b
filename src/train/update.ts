/** @file The update of one step: advantages → data → gradients → optimizer steps. */
import type { Algorithm, AlgorithmState, MadeData } from "../algorithms/algorithm.js";
import { withKl } from "../algorithms/kl/with-kl.js";
import { carriesLoss } from "../algorithms/loss/loss.js";
import { ratioStats } from "../algorithms/loss/ratio-stats.js";
import { UserError } from "../errors.js";
import type { Policy } from "../policy/policy.js";
import { fillEnvironmentLogprobs } from "../algorithms/datum.js";
import type { Datum, Group } from "../types.js";
import type { Config } from "./config.js";
import { customLossStep } from "./custom-loss.js";
import type { MetricValues } from "./metrics.js";
import { learningRateAt } from "./schedule.js";

export interface Update {
  policy: Policy;
  algorithm: Algorithm;
  /** The step's groups; each optimizer update takes its share of them. */
  groups: readonly Group[];
  state: AlgorithmState;
  /** From 0. */
  step: number;
  config: Config;
}

/**
 * Makes `train.updatesPerBatch` optimizer updates.
 * @returns their metrics and what the algorithm remembers
 * @throws UserError when the loss or the gradient is not a number
 */
export async function updatePolicy(update: Update): Promise<{ metrics: MetricValues; state: AlgorithmState }> {
  const { policy, algorithm, groups, step, config } = update;
  const learningRate = learningRateAt(step, config.train.steps, config.optimizer);
  let { state } = update;
  let metrics: MetricValues = { learningRate, loss: 0, gradNorm: 0, "tokens/trained": 0 };
  let isFirst = true;
  for (const share of divide(groups, config.train.updatesPerBatch)) {
    const made = algorithm.makeData(share, state);
    state = made.state;
    // Without a signal there is nothing to follow: an optimizer step would only move by its momentum.
    if (made.data_D.length === 0) continue;
    const gradient = await accumulate(policy, algorithm, made);
    requireFinite("loss", gradient.loss, step);
    const { gradNorm } = await policy.optimStep({ ...config.optimizer, learningRate });
    requireFinite("gradient norm", gradNorm, step);
    metrics = {
      ...metrics,
      ...lastUpdateMetrics(gradient, made, algorithm.klCoefficient),
      ...(isFirst ? samplerGap(gradient) : {}),
      gradNorm,
      loss: (metrics.loss ?? 0) + gradient.loss,
      "tokens/trained": (metrics["tokens/trained"] ?? 0) + made.stats.lossTokens,
    };
    isFirst = false;
  }
  return { metrics, state };
}

/** `parts` runs of consecutive groups, as equal as can be. */
function divide(groups: readonly Group[], parts: number): Group[][] {
  const edge = (part: number): number => Math.round((part * groups.length) / parts);
  return Array.from({ length: parts }, (_, part) => groups.slice(edge(part), edge(part + 1)));
}

interface Gradient {
  data_D: readonly Datum[];
  logprobs_D_T: readonly Float32Array[];
  loss: number;
  /** In nats per token; only where the loss has a KL. */
  klPerToken: number;
}

/** Adds the gradient of the algorithm's loss to the policy's. */
async function accumulate(policy: Policy, algorithm: Algorithm, made: MadeData): Promise<Gradient> {
  const sequences = made.data_D.map(({ tokens_T }) => tokens_T);
  const data_D = made.lacksLogprobs
    ? fillEnvironmentLogprobs(made.data_D, await policy.logprobs(sequences))
    : made.data_D;
  if (algorithm.klCoefficient === 0) {
    return { data_D, klPerToken: 0, ...(await policy.forwardBackward(data_D, made.loss)) };
  }
  const reference = await policy.logprobs(sequences, { reference: true });
  const options = { loss: made.loss, beta: algorithm.klCoefficient, shares_D: made.shares_D };
  const result = await customLossStep(policy, data_D, (data, logprobs) => withKl(data, logprobs, reference, options));
  return { data_D, ...result };
}

function lastUpdateMetrics(gradient: Gradient, made: MadeData, klCoefficient: number): MetricValues {
  const stats = ratioStats(gradient.data_D, gradient.logprobs_D_T, made.loss);
  return {
    "ratio/mean": stats.meanRatio,
    "ratio/max": stats.maxRatio,
    "kl/sampler": stats.kl,
    "ratio/clipped": stats.clipFraction,
    ...(klCoefficient > 0 ? { kl: gradient.klPerToken } : {}),
  };
}

/** How far sampler and trainer disagree about the same policy; it should be rounding alone. */
function samplerGap({ data_D, logprobs_D_T }: Gradient): MetricValues {
  let sum = 0;
  let most = 0;
  let tokens = 0;
  data_D.forEach((datum, row) => {
    for (let t = 0; t < datum.tokens_T.length; t++) {
      if (!carriesLoss(datum, t)) continue;
      const gap = Math.abs(logprobs_D_T[row][t] - (datum.logprobs_T?.[t] ?? 0));
      sum += gap;
      most = Math.max(most, gap);
      tokens++;
    }
  });
  return { "policy/samplerGap": sum / Math.max(1, tokens), "policy/samplerGapMax": most };
}

/** @throws UserError when training has diverged; `rate` is the key that sets the learning rate */
export function requireFinite(what: string, value: number, step: number, rate = "optimizer.learningRate"): void {
  if (Number.isFinite(value)) return;
  throw new UserError(
    `The ${what} of step ${step + 1} is ${value}: training has diverged. Checkpoints from before are intact; ` +
      `start a new run with a lower ${rate}, or a lower optimizer.maxGradNorm.`,
  );
}
