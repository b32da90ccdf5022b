/**
 * @file The training loop: questions → groups of attempts → rewards → advantages → gradients → optimizer step → metrics →
 * evaluation and checkpoint. All randomness is a function of the seed and the step, so `TrainState` and the policy are
 * everything there is to save, and a run that was stopped anywhere ends like one that was not.
 */
import type { TrainState } from "./checkpoint.js";
import { peakMemoryMb } from "./result.js";
import type { MetricValues } from "./metrics.js";
import type { Group } from "../types.js";
import { judgeMetrics } from "./judge-metrics.js";
import { saveTrajectories } from "./run-folder.js";
import type { Run } from "./run.js";
import { attemptQuestions } from "./rollouts.js";
import { searchMetrics } from "./search-metrics.js";
import { rolloutMetrics } from "./step-metrics.js";
import { isOutOfTime, runSteps, secondsLeft, stepsToTake, type Course } from "./steps.js";
import { learn } from "./update.js";
import { validate } from "./validation.js";
import { canUndo, isStopped, protectTarget, underWatch } from "./watch/act.js";
import { learningRateScaleAt } from "./watch/watch.js";

/**
 * Trains from `state` to the last step.
 * @throws UserError when the run cannot go on: files that cannot be written, losses that are no numbers
 */
export function runLoop(run: Run, state: TrainState): Promise<TrainState> {
  const { folder, config, emit, signal } = run;
  const course: Course = {
    folder,
    policy: run.parts.policy,
    config,
    emit,
    signal,
    isLast: (current) => isLast(run, current),
    takeStep: (current) => takeStep(run, current),
    settle: (current, pending) => settleStep(run, current, pending),
  };
  return runSteps(course, state);
}

/** One step: attempts, rewards, update. Its metrics stay pending until the evaluation that may follow. */
async function takeStep(run: Run, state: TrainState): Promise<TrainState> {
  const { policy, algorithm, task } = run.parts;
  const runtimeBefore = await runtimeSeconds(run);
  const started = performance.now();
  judgeMetrics(run, `before step ${state.step + 1}`);
  const { groups, learned, drawn } = await attemptQuestions(run, state.step, state.drawn);
  const rolloutSeconds = secondsSince(started);
  const update = await learn({
    policy,
    algorithm,
    groups: learned,
    state: state.algorithm ?? algorithm.initialState(),
    step: state.step,
    learningRateScale: learningRateScaleAt(state.watch, state.step, run.config.optimizer.warmupSteps),
    config: run.config,
  }).catch((error: unknown) => {
    if (!canUndo(run, state, error)) throw error;
    return { metrics: { "watch/diverged": 1 }, state: state.algorithm };
  });
  const stepSeconds = secondsSince(started);
  const runtime = (await runtimeSeconds(run)) - runtimeBefore;

  const step = state.step + 1;
  const seconds = state.seconds + stepSeconds;
  const metrics: MetricValues = {
    ...rolloutMetrics(groups, task),
    ...judgeMetrics(run, `of step ${step}`),
    ...searchMetrics(task),
    ...(run.config.algorithm.dynamicSampling === 0 ? {} : { "groups/learned": learned.length }),
    ...update.metrics,
    "time/total": seconds,
    "time/step": stepSeconds,
    "time/rollout": rolloutSeconds,
    "time/train": stepSeconds - rolloutSeconds,
    "time/outsideRuntime": 1 - runtime / stepSeconds,
    "memory/peak": peakMemoryMb(),
  };
  const { saveTrajectories: shown } = run.config.train;
  const steps = stepsToTake(run.config);
  if (shown > 0) await saveTrajectories(run.folder, step, groups.slice(0, shown));
  if (metrics["searches/failed"] === 1) run.emit({ kind: "warning", message: allSearchesFailed(step, groups) });
  run.emit({ kind: "step", step, steps, metrics, groups, secondsLeft: secondsLeft(run.config, steps, step, seconds) });
  return { ...state, step, drawn, seconds, algorithm: update.state, pending: metrics };
}

/** A dead search engine stops nothing, but nobody should find that out from the learning curve. */
function allSearchesFailed(step: number, groups: readonly Group[]): string {
  const searches = groups.flatMap(({ trajectories_G }) => trajectories_G.flatMap((trajectory) => trajectory.searches));
  const reason = searches.find(({ error }) => error !== undefined)?.error ?? "no reason given";
  return `Every search of step ${step} failed (${reason}). The run goes on without passages: see to the search engine, or stop with Ctrl-C.`;
}

/** Evaluates if it is time to, and writes the step's line. */
async function settleStep(run: Run, before: TrainState, pending: MetricValues): Promise<TrainState> {
  const { evalEvery } = run.config.train;
  const isEvaluated = isLast(run, before) || (evalEvery > 0 && before.step % evalEvery === 0);
  // A policy that has diverged cannot be sampled from.
  const due = isEvaluated && pending["watch/diverged"] !== 1;
  const state = due ? await protectTarget(run, before) : before;
  const { metrics, best } = due ? await validate(run, state) : { metrics: {}, best: state.best };
  const line = { step: state.step, ...pending, ...metrics };
  return underWatch(run, { ...state, best, pending: null }, line, isLast(run, state));
}

function isLast(run: Run, state: TrainState): boolean {
  return state.step >= stepsToTake(run.config) || isOutOfTime(run.config, state) || isStopped(run, state);
}

/** Time inside the runtime's own calls, in seconds. */
async function runtimeSeconds(run: Run): Promise<number> {
  const { sampleRuntimeMs, trainRuntimeMs } = await run.parts.policy.stats();
  return (sampleRuntimeMs + trainRuntimeMs) / 1000;
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
