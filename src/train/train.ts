/** @file Training from a configuration: builds the parts, opens or continues the run folder, trains, judges, reports. */
import path from "node:path";
import type { Algorithm } from "../algorithms/algorithm.js";
import { UserError } from "../errors.js";
import type { Policy } from "../contracts/policy.js";
import { algorithmNotes } from "../algorithms/contradictions.js";
import { readBest, restoreCheckpoint, type BestScore, type TrainState } from "./checkpoint.js";
import { fittingOf, questionTexts } from "./calibration.js";
import { parseConfig, withPrecision, type Config, type ConfigInput } from "./config/config.js";
import { savedReports, testReports } from "./evaluations.js";
import { runLoop } from "./loop.js";
import { readModel, settleConfig } from "./model-folder.js";
import { hasAuto } from "./budgets.js";
import { noticeToProcess, warnOf, wrongModel, type OnNotice } from "./notices.js";
import { openPolicy, requireOwnLora } from "./open-policy.js";
import { openTask } from "./open-task.js";
import { algorithmOf, type GivenParts } from "./parts.js";
import { loadSplits } from "./questions.js";
import { writeReport } from "./report/report.js";
import { isUntrained, peakMemoryMb, readResult, saveResult, type TrainResult } from "./result.js";
import { inRunFolder, readRunConfig, withRunFolder, writeRunConfig } from "./run-folder.js";
import { isAbortOf, type OnEvent, type Run, type TrainParts } from "./run.js";
import { isOutOfTime, stepsToTake } from "./schedule.js";
import { refuseServed } from "./served-model.js";
import { isStopped } from "./watch/act.js";

export interface TrainOptions extends GivenParts {
  onEvent?: OnEvent;
  /** Stops the run and leaves it ready to continue; `train` then resolves with status `interrupted`. */
  signal?: AbortSignal;
}

/**
 * Trains. A run folder that exists is continued from its last checkpoint, with the same outcome as if it had never
 * stopped; a finished one only reports.
 *
 * @example
 * await train({ train: { steps: 20 } }, { search: myEngine, questions: myQuestions, reward: (question, trajectory) => 1 });
 * @throws UserError for configurations, data and folders that cannot be used, and when training diverges
 */
export async function train(input: ConfigInput, options: TrainOptions = {}): Promise<TrainResult> {
  if (options.policy === undefined) refuseServed(parseConfig(input));
  const asked = withRunFolder(await settleConfig(input, options));
  const { folder } = asked.run;
  const emit = options.onEvent ?? warnProcess;
  return inRunFolder(asked, "train", async (begin, config) => {
    const earlier = await readResult(folder);
    const isOver =
      earlier?.status === "stopped"
        ? config.watch.action !== "warn"
        : earlier?.status === "finished" && earlier.steps >= stepsToTake(config);
    if (earlier !== null && isOver) {
      emit({ kind: "end", result: earlier });
      return earlier;
    }
    return withParts(config, { ...options, onNotice: emit }, async (parts, settled) => {
      if (hasAuto(config) || config.run.precision === "auto") await writeRunConfig(folder, settled);
      begin();
      if (options.algorithm === undefined) {
        for (const message of algorithmNotes(settled)) emit({ kind: "warning", message });
      }
      return trainIn({ config: settled, parts, folder, emit, signal: options.signal });
    });
  });
}

/** Without a listener, warnings go to the process. */
const warnProcess: OnEvent = (event) => {
  if (event.kind === "warning") noticeToProcess(event);
  if (event.kind === "watch") for (const message of event.messages) noticeToProcess({ kind: "warning", message });
};

/** Continues the run of a folder with the configuration it was started with. */
export async function resume(folder: string, options: TrainOptions = {}): Promise<TrainResult> {
  const config = await readRunConfig(folder);
  return train({ ...config, run: { ...config.run, folder } }, options);
}

/** Opens the parts, and closes those that were opened here. */
async function withParts<T>(
  asked: Config,
  given: TrainOptions & { onNotice: OnNotice },
  use: (parts: TrainParts, config: Config) => Promise<T>,
): Promise<T> {
  // Before anything that may be large is read: choices can contradict each other.
  const early = given.algorithm ?? algorithmOf(asked);
  if (given.policy === undefined) await requireOwnLora(asked);
  const splits = await loadSplits(asked, given);
  const task = await openTask(asked, given, { ...given, questions: splits.questions });
  const { config } = task;
  try {
    const algorithm = given.algorithm ?? (hasAuto(asked) ? algorithmOf(config) : early);
    const { questions } = splits;
    const texts = async () =>
      questionTexts({ config, given, task: task.value, questions, model: await readModel(config.model.folder) });
    const fitting = await fittingOf(config, given, texts, config.run.folder);
    const policy = await openPolicy(config, given, "reinforcement", { ...fitting, onNotice: given.onNotice });
    try {
      if (given.policy === undefined)
        warnOf(given.onNotice, wrongModel(config, splits.questions, policy.value.tokenizer));
      requireCapabilities(policy.value, algorithm);
      for (const question of splits.questions) task.value.requireRoom?.(question, policy.value);
      const settled = withPrecision(config, policy.value.precision);
      return await use({ policy: policy.value, task: task.value, algorithm, ...splits }, settled);
    } finally {
      await policy.close();
    }
  } finally {
    await task.close();
  }
}

/** Says before any compute what the engine cannot do. */
function requireCapabilities({ capabilities: can, critic }: Policy, algorithm: Algorithm): void {
  if (!can.training) {
    throw new UserError(`The policy engine ${can.engine} cannot train. Use the local engine, or evaluate it instead.`);
  }
  if (algorithm.needs.reference && !can.reference) {
    throw new UserError(
      `algorithm.kl is not 0, which needs the log-probabilities of the starting policy, and the engine ${can.engine} ` +
        "does not keep it. Set algorithm.kl=0 or use the local engine.",
    );
  }
  if (algorithm.needs.values && critic === undefined) {
    throw new UserError(
      `The algorithm ${algorithm.name} needs a critic, and the engine ${can.engine} has none. ` +
        "Use the local engine, or an algorithm that compares attempts instead: algorithm.name=grpo.",
    );
  }
  if (algorithm.objective(algorithm.initialState()).entropy !== 0 && !can.entropy) {
    throw new UserError(
      `algorithm.entropy is not 0, and the engine ${can.engine} cannot compute entropies. Set algorithm.entropy=0 or use the local engine.`,
    );
  }
}

async function trainIn(run: Run): Promise<TrainResult> {
  const { state: start, resumedFrom } = await restoreCheckpoint(run);
  announce(run, resumedFrom);
  let state = start;
  try {
    const before = await reportsBefore(run, resumedFrom);
    state = await runLoop(run, start);
    run.signal?.throwIfAborted();
    const best = await loadBest(run, state);
    const after = await testReports(run, "after", state.step);
    return await finish(run, { ...state, best }, { before, after });
  } catch (error) {
    if (!isAbortOf(run.signal, error)) throw error;
    return interrupted(run, state);
  }
}

function announce(run: Run, resumedFrom: number | null): void {
  const { questions, validation, test } = run.parts;
  const { evalSize, testSize } = run.config.train;
  const steps = stepsToTake(run.config);
  const counts = {
    train: questions.length,
    validation: Math.min(evalSize, validation.length),
    test: Math.min(testSize, test.length),
  };
  const { memory } = run.parts.policy;
  run.emit({ kind: "start", folder: run.folder, steps, resumedFrom, questions: counts, memory });
  if (validation.length === 0) {
    const message =
      "There are too few questions to set some aside for validation: the last policy is kept, not the best.";
    run.emit({ kind: "warning", message });
  }
}

/** Only an untrained policy can be judged before training: a run that continues has its reports on file. */
async function reportsBefore(run: Run, resumedFrom: number | null): Promise<TrainResult["before"]> {
  return (await savedReports(run, "before")) ?? (resumedFrom === null ? testReports(run, "before", 0) : null);
}

/**
 * Puts the best policy in place of the last one, which has its own checkpoint.
 * @returns what is in place now; null for the last policy, where no best one was kept or its folder is damaged
 */
async function loadBest(run: Run, state: TrainState): Promise<BestScore | null> {
  const best = await readBest(run.folder);
  if (best === null && state.best !== null) {
    const folder = path.join(run.folder, "best");
    const message = `The best checkpoint ${folder} (step ${state.best.step}) is missing or damaged: the last policy is tested instead.`;
    run.emit({ kind: "warning", message });
  }
  if (best !== null && best.step !== state.step) await run.parts.policy.load(path.join(run.folder, "best"));
  return best;
}

const noBetter =
  "No evaluation on validation questions was better than the first: what is kept in best/ is the model as it was before training. " +
  "Look at em/train and reward/mean in the curve; more steps, another learning rate or more validation questions (train.evalSize) may show a gain.";

async function finish(
  run: Run,
  state: TrainState,
  reports: Pick<TrainResult, "before" | "after">,
): Promise<TrainResult> {
  const isComplete = state.step >= stepsToTake(run.config) || !isOutOfTime(run.config, state);
  const status = isComplete ? "finished" : "out-of-time";
  const result: TrainResult = {
    folder: run.folder,
    status: isStopped(run, state) ? "stopped" : status,
    steps: state.step,
    seconds: state.seconds,
    best: state.best,
    ...watchResult(state),
    ...reports,
    peakMemoryMb: peakMemoryMb(),
  };
  if (isUntrained(result) && state.step > 0) run.emit({ kind: "warning", message: noBetter });
  await writeReport(result);
  await saveResult(result);
  run.emit({ kind: "end", result });
  return result;
}

/** Nothing where the watch did nothing. */
function watchResult({ watch }: TrainState): Pick<TrainResult, "watch"> {
  if (watch === undefined || (watch.rollbacks.length === 0 && watch.stopped === null)) return {};
  const { rollbacks, learningRateScale, stopped } = watch;
  return { watch: { rollbacks, learningRateScale, stopped } };
}

function interrupted(run: Run, state: TrainState): TrainResult {
  const { folder } = run;
  const message = `Stopped after step ${state.step}. The same command with run.folder=${folder} continues.`;
  run.emit({ kind: "interrupted", step: state.step, folder, message });
  return {
    folder,
    status: "interrupted",
    steps: state.step,
    seconds: state.seconds,
    best: state.best,
    before: null,
    after: null,
    peakMemoryMb: peakMemoryMb(),
  };
}
