/**
 * @file The training loop: questions → groups of attempts → rewards → advantages → gradients → optimizer step → metrics →
 * evaluation and checkpoint. All randomness is a function of the seed and the step, so `TrainState` and the policy are
 * everything there is to save, and a run that was stopped anywhere ends like one that was not.
 */
import { saveCheckpoint, type TrainState } from "./checkpoint.js";
import { appendMetrics } from "./metrics-file.js";
import { peakMemoryMb } from "./result.js";
import type { MetricValues } from "./metrics.js";
import type { Group } from "../types.js";
import { saveTrajectories } from "./run-folder.js";
import type { Run } from "./run.js";
import { attemptQuestions } from "./rollouts.js";
import { rolloutMetrics } from "./step-metrics.js";
import { updatePolicy } from "./update.js";
import { validate } from "./validation.js";

/** Where a new run begins: before its first step, with the evaluation of the untrained policy still to come. */
export const startState: TrainState = { step: 0, seconds: 0, algorithm: null, best: null, pending: {} };

/**
 * Trains from `state` to the last step. When the signal aborts, the step under way is abandoned (or finished, if its
 * update has begun) and what is complete is saved.
 * @throws UserError when the run cannot go on: files that cannot be written, losses that are no numbers
 */
export async function runLoop(run: Run, state: TrainState): Promise<TrainState> {
  let saved = state.step;
  try {
    for (;;) {
      if (state.pending !== null) state = await settleStep(run, state, state.pending);
      const ended = isLast(run, state);
      if (state.step !== saved && (ended || state.step % run.config.train.checkpointEvery === 0)) {
        await checkpoint(run, state);
        saved = state.step;
      }
      if (ended) return state;
      state = await takeStep(run, state);
    }
  } catch (error) {
    if (!isAbortOf(run.signal, error)) throw error;
    if (state.step !== saved) await checkpoint(run, state);
    return state;
  }
}

/** One step: attempts, rewards, update. Its metrics stay pending until the evaluation that may follow. */
async function takeStep(run: Run, state: TrainState): Promise<TrainState> {
  const { policy, algorithm, task } = run.parts;
  const runtimeBefore = await runtimeSeconds(run);
  const started = performance.now();
  const groups = await attemptQuestions(run, state.step);
  const rolloutSeconds = secondsSince(started);
  const update = await updatePolicy({
    policy,
    algorithm,
    groups,
    state: state.algorithm ?? algorithm.initialState(),
    step: state.step,
    config: run.config,
  });
  const stepSeconds = secondsSince(started);
  const runtime = (await runtimeSeconds(run)) - runtimeBefore;

  const step = state.step + 1;
  const seconds = state.seconds + stepSeconds;
  const metrics: MetricValues = {
    ...rolloutMetrics(groups, task.exactMatch),
    ...update.metrics,
    "time/total": seconds,
    "time/step": stepSeconds,
    "time/rollout": rolloutSeconds,
    "time/train": stepSeconds - rolloutSeconds,
    "time/outsideRuntime": 1 - runtime / stepSeconds,
    "memory/peak": peakMemoryMb(),
  };
  const { saveTrajectories: shown, steps } = run.config.train;
  if (shown > 0) await saveTrajectories(run.folder, step, groups.slice(0, shown));
  if (metrics["searches/failed"] === 1) run.emit({ kind: "warning", message: allSearchesFailed(step, groups) });
  run.emit({ kind: "step", step, steps, metrics, groups, secondsLeft: secondsLeft(run, step, seconds) });
  return { ...state, step, seconds, algorithm: update.state, pending: metrics };
}

/** A dead search engine stops nothing, but nobody should find that out from the learning curve. */
function allSearchesFailed(step: number, groups: readonly Group[]): string {
  const searches = groups.flatMap(({ trajectories_G }) => trajectories_G.flatMap((trajectory) => trajectory.searches));
  const reason = searches.find(({ error }) => error !== undefined)?.error ?? "no reason given";
  return `Every search of step ${step} failed (${reason}). The run goes on without passages: see to the search engine, or stop with Ctrl-C.`;
}

/** Evaluates if it is time to, and writes the step's line. */
async function settleStep(run: Run, state: TrainState, pending: MetricValues): Promise<TrainState> {
  const { evalEvery } = run.config.train;
  const due = isLast(run, state) || (evalEvery > 0 && state.step % evalEvery === 0);
  const { metrics, best } = due ? await validate(run, state) : { metrics: {}, best: state.best };
  await appendMetrics(run.folder, { step: state.step, ...pending, ...metrics });
  return { ...state, best, pending: null };
}

async function checkpoint(run: Run, state: TrainState): Promise<void> {
  const warn = (message: string): void => run.emit({ kind: "warning", message });
  const keep = run.config.train.keepCheckpoints;
  const folder = await saveCheckpoint(run.folder, run.parts.policy, state, { keep, warn });
  run.emit({ kind: "checkpoint", step: state.step, folder });
}

function isLast(run: Run, state: TrainState): boolean {
  return state.step >= run.config.train.steps || isOutOfTime(run, state);
}

/** Whether an error is nothing but the signal's abort. */
export function isAbortOf(signal: AbortSignal | undefined, error: unknown): boolean {
  return signal?.aborted === true && error === signal.reason;
}

/** Whether `train.stopAfterSeconds` have been spent on training. */
export function isOutOfTime(run: Run, state: TrainState): boolean {
  const limit = run.config.train.stopAfterSeconds;
  return limit > 0 && state.seconds >= limit;
}

/** Time inside the runtime's own calls, in seconds. */
async function runtimeSeconds(run: Run): Promise<number> {
  const { sampleRuntimeMs, trainRuntimeMs } = await run.parts.policy.stats();
  return (sampleRuntimeMs + trainRuntimeMs) / 1000;
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}

/** From the mean step so far; the time limit may end it earlier. */
function secondsLeft(run: Run, step: number, seconds: number): number {
  const { steps, stopAfterSeconds } = run.config.train;
  const left = (seconds / step) * (steps - step);
  return stopAfterSeconds > 0 ? Math.max(0, Math.min(left, stopAfterSeconds - seconds)) : left;
}
