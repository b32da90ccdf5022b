/**
 * @file The training loop: questions → groups of attempts → rewards → advantages → gradients → optimizer step → metrics →
 * evaluation, collapse watch and checkpoint. All randomness is a function of the seed and the step, so `TrainState` and the
 * policy are everything there is to save, and a run that was stopped anywhere ends like one that was not.
 */
import { writeCheckpoint, type TrainState } from "./checkpoint.js";
import { validate } from "./evaluations.js";
import { appendMetrics } from "./metrics-file.js";
import type { MetricValues } from "./metrics.js";
import { peakMemoryMb } from "./result.js";
import { attemptQuestions } from "./rollouts.js";
import { saveTrajectories } from "./run-folder.js";
import { isAbortOf, type Run } from "./run.js";
import { isOutOfTime, secondsLeft, stepsToTake } from "./schedule.js";
import { judgeMetrics, rolloutMetrics, searchMetrics, workMetrics } from "./step-metrics.js";
import { warnOfStep } from "./step-warnings.js";
import { learn } from "./update.js";
import { canUndo, intervene, isStopped, protectTarget, watchRun } from "./watch/act.js";
import { learningRateScaleAt } from "./watch/watch.js";

/**
 * Trains from `start` to the last step. When the signal aborts, the step under way is abandoned (or finished, if its
 * update has begun) and what is complete is saved.
 * @throws UserError when the run cannot go on: files that cannot be written, losses that are no numbers
 */
export async function runLoop(run: Run, start: TrainState): Promise<TrainState> {
  let state = start;
  let saved = start.step;
  try {
    for (;;) {
      const rollbacks = rollbackCount(state);
      if (state.pending !== null) state = await completeStep(run, state, state.pending);
      const isOver = isLastStep(run, state);
      const isCheckpointDue = state.step !== saved && (isOver || state.step % run.config.train.checkpointEvery === 0);
      // The folder that a roll-back loaded may be overwritten later: the checkpoint keeps its policy.
      if (isCheckpointDue || rollbackCount(state) !== rollbacks) saved = await writeCheckpoint(run, state);
      if (isOver) return state;
      state = await takeStep(run, state);
    }
  } catch (error) {
    if (!isAbortOf(run.signal, error)) throw error;
    if (state.step !== saved) await writeCheckpoint(run, state);
    return state;
  }
}

/** One step: attempts, rewards, update. Its metrics stay pending until the evaluation that may follow. */
async function takeStep(run: Run, before: TrainState): Promise<TrainState> {
  const { config, emit } = run;
  const { policy, algorithm, task } = run.parts;
  const workBefore = await policy.stats();
  const started = performance.now();
  judgeMetrics(run, `before step ${before.step + 1}`);

  const { groups, learned, drawn } = await attemptQuestions(run, before.step, before.drawn);
  const rolloutSeconds = secondsSince(started);

  const update = await learn({
    policy,
    algorithm,
    groups: learned,
    state: before.algorithm ?? algorithm.initialState(),
    step: before.step,
    learningRateScale: learningRateScaleAt(before.watch, before.step, config.optimizer.warmupSteps),
    config,
  }).catch((error: unknown) => {
    if (!canUndo(run, before, error)) throw error;
    return { metrics: { "watch/diverged": 1 }, state: before.algorithm };
  });
  const stepSeconds = secondsSince(started);
  const work = workMetrics(workBefore, await policy.stats(), stepSeconds);

  const step = before.step + 1;
  const seconds = before.seconds + stepSeconds;
  const metrics: MetricValues = {
    ...rolloutMetrics(groups, task),
    ...judgeMetrics(run, `of step ${step}`),
    ...searchMetrics(task),
    ...(config.algorithm.dynamicSampling === 0 ? {} : { "groups/learned": learned.length }),
    ...update.metrics,
    ...work,
    "time/total": seconds,
    "time/step": stepSeconds,
    "time/rollout": rolloutSeconds,
    "time/train": stepSeconds - rolloutSeconds,
    "memory/peak": peakMemoryMb(),
  };
  const shown = groups.slice(0, config.train.saveTrajectories);
  if (shown.length > 0) await saveTrajectories(run.folder, step, shown);
  warnOfStep(
    run,
    step,
    groups.flatMap(({ trajectories_G }) => trajectories_G),
  );
  const steps = stepsToTake(config);
  emit({ kind: "step", step, steps, metrics, groups, secondsLeft: secondsLeft(config, steps, { step, seconds }) });
  return { ...before, step, drawn, seconds, algorithm: update.state, pending: metrics };
}

/** Evaluates where it is time to, writes the step's line, and does what the collapse watch decides. */
async function completeStep(run: Run, before: TrainState, pending: MetricValues): Promise<TrainState> {
  const { evalEvery } = run.config.train;
  const isLast = isLastStep(run, before);
  const isEvaluationDue = isLast || (evalEvery > 0 && before.step % evalEvery === 0);
  let state: TrainState = { ...before, pending: null };
  let line = { step: state.step, ...pending };
  // A policy that has diverged cannot be sampled from.
  if (isEvaluationDue && pending["watch/diverged"] !== 1) {
    state = await protectTarget(run, state);
    const { metrics, best } = await validate(run, state);
    state = { ...state, best };
    line = { ...line, ...metrics };
  }
  const watched = await watchRun(run, state, line, isLast);
  await appendMetrics(run.folder, { ...line, ...watched.metrics });
  return intervene(run, state, watched);
}

function isLastStep(run: Run, state: TrainState): boolean {
  return state.step >= stepsToTake(run.config) || isOutOfTime(run.config, state) || isStopped(run, state);
}

function rollbackCount({ watch }: TrainState): number {
  return watch?.rollbacks.length ?? 0;
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
