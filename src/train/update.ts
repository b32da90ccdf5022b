/** @file The learning of one step: evidence → advantages → updates of the critic → updates of the policy. */
import type {
  AdvantageRow,
  AdvantageStats,
  Algorithm,
  AlgorithmState,
  MadeData,
  Objective,
  Rows,
} from "../algorithms/algorithm.js";
import { carriesLoss, isEngineLoss, isMoved } from "../algorithms/losses.js";
import { objectiveGradient } from "../algorithms/objective.js";
import { ratioStats } from "../algorithms/ratio-stats.js";
import { UserError } from "../errors.js";
import type { Critic, ValueDatum } from "../contracts/critic.js";
import type { ForwardBackwardResult, Policy } from "../contracts/policy.js";
import { Random } from "../random.js";
import type { Datum, Group } from "../types.js";
import type { Config } from "./config/config.js";
import { customLossStep } from "./custom-loss.js";
import type { MetricValues } from "./metrics.js";
import { learningRateAt } from "./schedule.js";

interface Update {
  policy: Policy;
  algorithm: Algorithm;
  /** What the step learns from. */
  groups: readonly Group[];
  state: AlgorithmState;
  /** From 0. */
  step: number;
  /** Multiplies learning rates. */
  learningRateScale: number;
  config: Config;
}

/** What every update of a step has in common. */
interface LearningStep extends Omit<Update, "groups"> {
  rows: readonly AdvantageRow[];
}

/**
 * Makes `train.epochs` × `train.updatesPerBatch` optimizer updates of the policy, and as many of the critic where there is one.
 * @returns their metrics and what the algorithm remembers
 * @throws UserError when a loss or a gradient is not a number
 */
export async function learn(update: Update): Promise<{ metrics: MetricValues; state: AlgorithmState }> {
  const { policy, algorithm, groups, step, config } = update;
  const evidence = await gatherEvidence(policy, algorithm, algorithm.rows(groups));
  const { rows, stats, state } = algorithm.advantages(evidence.batch, update.state);
  const learning: LearningStep = { ...update, rows, state };
  const critic = algorithm.needs.values ? await updateCritic(learning) : {};
  // Nothing that a controller could steer: the policy stays where it is.
  const isHeadStart = algorithm.needs.values && step < config.critic.headStart;
  const { kl, metrics } = isHeadStart ? { kl: stats.rewardKl, metrics: {} } : await updatePolicy(learning, stats);
  return {
    metrics: {
      ...advantageMetrics(stats),
      ...metrics,
      ...(kl === undefined ? {} : { kl }),
      ...evidence.metrics,
      ...critic,
      ...coefficientMetric(state),
    },
    state: kl === undefined || isHeadStart ? state : algorithm.afterBatch(state, { kl, trajectories: rows.length }),
  };
}

/** The batch with everything that `algorithm.needs`, and how far sampler and trainer disagree where that is seen. */
async function gatherEvidence(
  policy: Policy,
  algorithm: Algorithm,
  batch: Rows,
): Promise<{ batch: Rows; metrics: MetricValues }> {
  const { needs } = algorithm;
  let { rows } = batch;
  let metrics: MetricValues = {};
  if (rows.length === 0) return { batch, metrics };
  const sequences = rows.map(({ tokens_T }) => tokens_T);
  const masks_D_T = rows.map(({ sampledMask_T }) => sampledMask_T);
  if (needs.currentLogprobs) {
    const current = await policy.logprobs(sequences, { masks_D_T });
    metrics = samplerGap(rows, current);
    rows = algorithm.withCurrentLogprobs(rows, current);
  }
  if (needs.reference) {
    const reference = await policy.logprobs(sequences, { reference: true, masks_D_T });
    rows = rows.map((row, index) => ({ ...row, referenceLogprobs_T: reference[index] }));
  }
  if (needs.values) {
    const values = await criticOf(policy).values(
      sequences,
      rows.map(({ advantageMask_T }) => advantageMask_T),
    );
    rows = rows.map((row, index) => ({ ...row, values_T: values[index] }));
  }
  return { batch: { ...batch, rows }, metrics };
}

/** The critic of a policy whose algorithm needs one; `train` has checked that it is there. */
function criticOf({ critic, capabilities }: Policy): Critic {
  if (critic === undefined)
    throw new Error(`internal: the policy engine ${capabilities.engine} was opened without a critic`);
  return critic;
}

/**
 * How far sampler and trainer disagree about the same policy; it should be rounding alone.
 * @param isKnown whose current log-probability was computed; default all that carry loss
 */
function samplerGap<Known extends Pick<Datum, "sampledMask_T" | "logprobs_T">>(
  rows: readonly Known[],
  current_D_T: readonly Float32Array[],
  isKnown: (row: Known, t: number) => boolean = carriesLoss,
): MetricValues {
  let sum = 0;
  let most = 0;
  let tokens = 0;
  rows.forEach((row, d) => {
    const { sampledMask_T, logprobs_T } = row;
    for (let t = 1; t < sampledMask_T.length; t++) {
      // Retrieved tokens were not sampled: without the mask theirs are missing.
      if (logprobs_T === undefined || Number.isNaN(logprobs_T[t]) || !isKnown(row, t)) continue;
      const gap = Math.abs(current_D_T[d][t] - logprobs_T[t]);
      sum += gap;
      most = Math.max(most, gap);
      tokens++;
    }
  });
  return { "policy/samplerGap": sum / Math.max(1, tokens), "policy/samplerGapMax": most };
}

/** One optimizer step of the critic per minibatch of the policy's, with its own learning rate. */
async function updateCritic(learning: LearningStep): Promise<MetricValues> {
  const { policy, step, learningRateScale, config } = learning;
  const critic = criticOf(policy);
  const { learningRate: peak, warmupSteps, clip } = config.critic;
  const learningRate = learningRateAt(step, config.train.steps, {
    ...config.optimizer,
    learningRate: learningRateScale * peak,
    warmupSteps,
    fromZero: config.faithful.firstStepAtZero,
  });
  let [loss, gradNorm, updates] = [0, 0, 0];
  for (const minibatch of minibatches(learning)) {
    const data_D = valueData(minibatch);
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

/** The updates of the policy. `kl`: of this batch to the frozen start, where it is measured. */
async function updatePolicy(
  learning: LearningStep,
  stats: AdvantageStats,
): Promise<{ kl?: number; metrics: MetricValues }> {
  const { policy, algorithm, state, step, learningRateScale, config } = learning;
  const { steps } = config.train;
  const learningRate =
    learningRateScale * learningRateAt(step, steps, { ...config.optimizer, fromZero: config.faithful.firstStepAtZero });
  const objective = algorithm.objective(state);
  let kl = stats.rewardKl;
  let metrics: MetricValues = { learningRate, loss: 0, gradNorm: 0, "tokens/trained": 0, "updates/policy": 0 };
  for (const minibatch of minibatches(learning)) {
    const made = algorithm.makeData(minibatch, state);
    // Without a signal there is nothing to follow: an optimizer step would only move by its momentum.
    if (made.data_D.length === 0) continue;
    const gradient = await accumulate(policy, objective, made);
    requireFinite("loss", gradient.loss, step);
    const { gradNorm } = await policy.optimStep({ ...config.optimizer, learningRate });
    requireFinite("gradient norm", gradNorm, step);
    const isFirst = metrics["updates/policy"] === 0;
    // Of the first update: later ones have moved away from what was sampled.
    if (isFirst) kl = gradient.klPerToken ?? kl;
    metrics = {
      ...metrics,
      ...(isFirst && !algorithm.needs.currentLogprobs
        ? samplerGap(made.data_D, gradient.logprobs_D_T, gradient.isKnown)
        : {}),
      ...updateMetrics(made, gradient, objective),
      gradNorm,
      loss: (metrics.loss ?? 0) + gradient.loss,
      "tokens/trained": (metrics["tokens/trained"] ?? 0) + made.lossTokens,
      "updates/policy": (metrics["updates/policy"] ?? 0) + 1,
    };
  }
  return { kl, metrics };
}

/**
 * The rows of each update: the batch's groups divided into `updatesPerBatch` minibatches, for every epoch anew; from the second on in
 * another order, which follows from the seed.
 */
function minibatches({ rows, step, config }: LearningStep): AdvantageRow[][] {
  const { epochs, updatesPerBatch, seed } = config.train;
  const groups = [...byGroup(rows).values()];
  return Array.from({ length: epochs }, (_, epoch) => {
    const order = epoch === 0 ? groups : new Random(seed, "epoch", step, epoch).shuffle([...groups]);
    return divide(order, updatesPerBatch).map((part) => part.flat());
  }).flat();
}

function byGroup(rows: readonly AdvantageRow[]): Map<number, AdvantageRow[]> {
  const groups = new Map<number, AdvantageRow[]>();
  for (const row of rows) {
    const members = groups.get(row.group);
    if (members) members.push(row);
    else groups.set(row.group, [row]);
  }
  return groups;
}

/** `parts` runs of consecutive groups, as equal as can be. */
function divide<Item>(items: readonly Item[], parts: number): Item[][] {
  const edge = (part: number): number => Math.round((part * items.length) / parts);
  return Array.from({ length: parts }, (_, part) => items.slice(edge(part), edge(part + 1)));
}

interface Gradient extends ForwardBackwardResult {
  /** In nats; only where the objective has a KL. */
  klPerToken?: number;
  /** Whose log-probability was computed. */
  isKnown: (datum: Datum, t: number) => boolean;
}

/** Adds the gradient of the objective to the policy's. */
async function accumulate(policy: Policy, objective: Objective, made: MadeData): Promise<Gradient> {
  const { loss, kl } = objective;
  if (kl === undefined && isEngineLoss(loss)) {
    return { ...(await policy.forwardBackward(made.data_D, loss)), isKnown: isMoved };
  }
  const custom = await customLossStep(policy, made.data_D, (_, logprobs_D_T) =>
    objectiveGradient(objective, made, logprobs_D_T),
  );
  return { ...custom, isKnown: carriesLoss };
}

function updateMetrics({ data_D }: MadeData, gradient: Gradient, { loss }: Objective): MetricValues {
  const { logprobs_D_T, entropies_D_T, isKnown } = gradient;
  const stats = ratioStats(data_D, logprobs_D_T, loss, isKnown);
  return {
    "ratio/mean": stats.meanRatio,
    "ratio/max": stats.maxRatio,
    "kl/sampler": stats.kl,
    "ratio/clipped": stats.clipFraction,
    ...(entropies_D_T === undefined ? {} : { "policy/entropy": meanWhereLoss(data_D, entropies_D_T) }),
  };
}

/** Mean over the tokens that carry loss. */
function meanWhereLoss(data_D: readonly Datum[], values_D_T: readonly Float32Array[]): number {
  let sum = 0;
  let tokens = 0;
  data_D.forEach((datum, row) => {
    for (let t = 0; t < datum.tokens_T.length; t++) {
      if (!carriesLoss(datum, t)) continue;
      sum += values_D_T[row][t];
      tokens++;
    }
  });
  return sum / Math.max(1, tokens);
}

function advantageMetrics(stats: AdvantageStats): MetricValues {
  return {
    "advantage/meanAbsolute": stats.meanAbsoluteAdvantage,
    "attempts/excluded": stats.excludedTrajectories / Math.max(1, stats.trajectories),
    ...(stats.explainedVariance === undefined ? {} : { "critic/explainedVariance": stats.explainedVariance }),
  };
}

/** β, where a controller moves it. */
function coefficientMetric({ klCoefficient }: AlgorithmState): MetricValues {
  return klCoefficient === undefined ? {} : { "kl/coefficient": klCoefficient };
}

/** A loss or a gradient that is no number. `rate` is the key that sets the learning rate. */
export class DivergedError extends UserError {
  readonly rate: string;

  constructor(message: string, rate: string) {
    super(message);
    this.rate = rate;
  }
}

/** @throws DivergedError when training has diverged; `rate` is the key that sets the learning rate */
export function requireFinite(what: string, value: number, step: number, rate = "optimizer.learningRate"): void {
  if (Number.isFinite(value)) return;
  throw new DivergedError(
    `The ${what} of step ${step + 1} is ${value}: training has diverged. Checkpoints from before are intact; ` +
      `start a new run with a lower ${rate}, or a lower optimizer.maxGradNorm.`,
    rate,
  );
}
