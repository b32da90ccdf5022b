/** @file What the collapse watch does to a run: it reports, it keeps something to go back to, it rolls back, it stops. */
import path from "node:path";
import { type BestScore, copyBest, readBest, saveBest, type TrainState } from "../checkpoint.js";
import type { MetricLine, MetricValues } from "../metrics.js";
import type { Run } from "../run.js";
import { DivergedError } from "../update.js";
import type { Signal } from "./detectors.js";
import { freshWatch, isTroubled, rolledBack, watchStep, type Decision, type WatchState } from "./watch.js";

/** What the watch makes of a completed step. */
interface WatchedStep {
  watch: WatchState;
  /** What it adds to the step's line: nothing until it has intervened. */
  metrics: MetricValues;
  /** Whether the policy of `watch.target` is to be put back. */
  rollsBack: boolean;
  messages: string[];
}

/**
 * Looks at the line of a completed step and decides. Nothing is done yet but to keep something to roll back to.
 * @param isLast nothing is gained by going back when nothing follows
 */
export async function watchRun(run: Run, state: TrainState, line: MetricLine, isLast: boolean): Promise<WatchedStep> {
  const settings = run.config.watch;
  const before = state.watch ?? freshWatch;
  const verdict = watchStep(before, line, settings);
  let watch = await keepTarget(run, state, verdict.state);
  const decision = isLast && line["watch/diverged"] !== 1 ? null : await feasible(run, watch, verdict.decision);
  const messages = verdict.news.map(({ cause, signal, severity }) =>
    severity === "note" ? `Step ${line.step}: ${cause}.` : `Step ${line.step}: ${cause}. ${advice[signal]}`,
  );
  if (decision?.kind === "stop") watch = { ...watch, stopped: stopMessage(run, state, decision) };
  if (decision?.kind === "rollback") {
    watch = rolledBack(watch, state.step, settings, decision);
    messages.push(rollbackMessage(watch, state, decision));
  }
  if (watch.stopped !== null && before.stopped === null) messages.push(watch.stopped);
  const rollsBack = decision?.kind === "rollback";
  const metrics = { ...interventions(watch), ...(rollsBack ? { "watch/rolledBackTo": watch.target?.step } : {}) };
  return { watch, metrics, rollsBack, messages };
}

/**
 * Reports the watch's news and puts the policy of its target back, where that was decided. The caller writes a checkpoint after a roll-back
 * before anything else happens, so that what was put back is never looked for again.
 */
export async function intervene(
  run: Run,
  state: TrainState,
  { watch, rollsBack, messages }: WatchedStep,
): Promise<TrainState> {
  report(run, state, watch, messages);
  if (!rollsBack || watch.target === null) return { ...state, watch };
  await run.parts.policy.load(path.join(run.folder, watch.target.folder));
  return { ...state, algorithm: watch.target.algorithm, watch };
}

/** Nothing is reported where nothing has changed. */
function report(run: Run, state: TrainState, watch: WatchState, messages: string[]): void {
  const signalsOf = ({ open }: WatchState): string =>
    open.map(({ signal, severity }) => `${signal} ${severity}`).join();
  if (messages.length === 0 && signalsOf(state.watch ?? freshWatch) === signalsOf(watch)) return;
  const { open, rollbacks, learningRateScale } = watch;
  run.emit({ kind: "watch", step: state.step, open, rollbacks: rollbacks.length, learningRateScale, messages });
}

/** Whether the error is a divergence of the policy that a roll-back can undo; else the run ends with it. */
export function canUndo({ config }: Pick<Run, "config">, { watch }: TrainState, error: unknown): boolean {
  if (!(error instanceof DivergedError) || error.rate !== "optimizer.learningRate") return false;
  const { action, maxRollbacks } = config.watch;
  return action === "rollback" && watch !== undefined && watch.target !== null && watch.rollbacks.length < maxRollbacks;
}

/** Whether the watch has ended the run. With `watch.action=warn` it goes on regardless. */
export function isStopped({ config }: Pick<Run, "config">, { watch }: TrainState): boolean {
  return config.watch.action !== "warn" && watch !== undefined && watch.stopped !== null;
}

/**
 * Before an evaluation while a sign of trouble is on: what a roll-back would put back is copied to `healthy/`, since the evaluation may find a new
 * best, of a policy in trouble, and overwrite it.
 */
export async function protectTarget({ folder }: Run, state: TrainState): Promise<TrainState> {
  const { watch } = state;
  if (watch?.target?.folder !== "best" || !isTroubled(watch)) return state;
  if ((await readBest(folder))?.step !== watch.target.step) return state;
  await copyBest(folder, "healthy");
  return { ...state, watch: { ...watch, target: { ...watch.target, folder: "healthy" } } };
}

/**
 * What a roll-back would put back: the best checkpoint. Where none is chosen (no validation questions, or `train.keepBest=last`), the watch keeps
 * a policy of its own, renewed with the checkpoints. Nothing is renewed while a sign of trouble is on.
 */
async function keepTarget({ config, folder, parts }: Run, state: TrainState, watch: WatchState): Promise<WatchState> {
  if (config.watch.action !== "rollback" || isTroubled(watch)) return watch;
  const { step, best, algorithm } = state;
  if (best !== null && config.train.keepBest !== "last") {
    return best.step === step ? { ...watch, target: { folder: "best", step, algorithm } } : watch;
  }
  if (step % config.train.checkpointEvery !== 0) return watch;
  await saveBest(folder, parts.policy, { step }, "healthy");
  return { ...watch, target: { folder: "healthy", step, algorithm } };
}

/** The decision; a roll-back to what is missing or damaged ends the run instead. */
async function feasible({ folder }: Run, { target }: WatchState, decision: Decision | null): Promise<Decision | null> {
  if (decision?.kind !== "rollback" || target === null) return decision;
  if ((await readBest(folder, target.folder))?.step === target.step) return decision;
  const kept = path.join(folder, target.folder);
  return { ...decision, kind: "stop", cause: `${decision.cause}; ${kept}, to roll back to, is missing or damaged` };
}

/** Nothing until the watch has done something. */
function interventions({ rollbacks, learningRateScale }: WatchState): MetricValues {
  return rollbacks.length === 0
    ? {}
    : { "watch/rollbacks": rollbacks.length, "watch/learningRateScale": learningRateScale };
}

function rollbackMessage(
  { target, learningRateScale, rollbacks }: WatchState,
  { step }: TrainState,
  { cause }: Decision,
): string {
  return (
    `Collapse watch, step ${step}: ${cause}. Rolled back to the policy of step ${target?.step} (${target?.folder}/), roll-back ${rollbacks.length}; ` +
    `learning rates are multiplied by ${learningRateScale} from here on.`
  );
}

function stopMessage(run: Run, state: TrainState, { cause, signals }: Decision): string {
  const { action, maxRollbacks } = run.config.watch;
  const rollbacks = state.watch?.rollbacks.length ?? 0;
  const because =
    action === "stop"
      ? ""
      : rollbacks >= maxRollbacks
        ? ` It was rolled back ${rollbacks} times, which is all that watch.maxRollbacks=${maxRollbacks} allows.`
        : " There is nothing to roll back to.";
  const kept = state.best === null ? "" : ` ${keptInWords(state.best)}`;
  return (
    `The collapse watch stopped the run after step ${state.step}: ${cause}.${because}${kept} ` +
    `Next: start a new run. ${advice[signals[0]]} To go on with this one regardless, set watch.action=warn.`
  );
}

function keptInWords(best: BestScore): string {
  if (best.step === 0) return "The model as it was before training is kept: no checkpoint was better.";
  return `The best checkpoint, of step ${best.step}, is kept.`;
}

const slower = "Lower optimizer.learningRate, or train.epochs and train.updatesPerBatch.";

/** What to change when a sign of collapse is on; docs/collapse.md has the reasons. */
const advice: Readonly<Record<Signal, string>> = {
  divergence: `${slower} Keep optimizer.maxGradNorm at 1.`,
  "right answers": slower,
  likelihood: `${slower} A larger algorithm.groupSize, or algorithm.kl=0.001, holds right answers up too.`,
  entropy: `${slower} With an entropy bonus, lower algorithm.entropy.`,
  certainty: `${slower} algorithm.entropy=0.001 or a larger algorithm.groupSize keeps attempts different.`,
  gradient: `Set optimizer.maxGradNorm=1, or a lower optimizer.learningRate.`,
  format: `${slower} A small reward for form helps: reward.weights.format=0.1.`,
  thoughts: "If the task needs thoughts, reward them: reward.weights.format=0.1.",
  repetition: `${slower} Lower rollout.maxTokensPerTurn, so that loops cost less.`,
  searches: `${slower} See to the search engine; reward.weights.search-cost=1 makes needless searches cost something.`,
  drift: `${slower} algorithm.kl=0.001 holds the policy near its start.`,
  "no signal": "Give easier questions, larger groups, a warm-up (sleuth sft) or partial rewards.",
};
