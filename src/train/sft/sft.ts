/**
 * @file Supervised training on transcripts: the cold start of reinforcement, and the baseline beside it. Cross-entropy on the
 * policy's tokens; what the environment wrote is read and never learned. A run is a folder like any other, and a stopped
 * one goes on to the same result.
 */
import { mapInSlices } from "../../async.js";
import { UserError } from "../../errors.js";
import type { Transcript } from "../../data/transcripts.js";
import type { MemoryPlan, Policy } from "../../contracts/policy.js";
import {
  keepPolicy,
  readBest,
  restoreCheckpoint,
  writeCheckpoint,
  type BestScore,
  type CheckpointEvent,
  type TrainState,
} from "../checkpoint.js";
import { hasAuto, type ModelFacts } from "../budgets.js";
import { fittingOf, trajectoryTexts } from "../calibration.js";
import { parseConfig, withBudgetsOf, withPrecision, type Config, type ConfigInput } from "../config/config.js";
import { appendMetrics, readMetrics } from "../metrics-file.js";
import type { MetricValues } from "../metrics.js";
import { readModel, settleConfig } from "../model-folder.js";
import { noticeToProcess, otherPrompt, warnOf, wrongModel, type Notice } from "../notices.js";
import { openPolicy, requireOwnLora } from "../open-policy.js";
import { drawItems } from "../questions.js";
import { precisionRow, writePictures } from "../report/report.js";
import { bestInWords, peakMemoryMb, readResult, saveResult } from "../result.js";
import { inRunFolder, saveTrajectories, withRunFolder, writeRunConfig } from "../run-folder.js";
import { isAbortOf, type Run } from "../run.js";
import { isOutOfTime, learningRateAt, secondsLeft } from "../schedule.js";
import { refuseServed } from "../served-model.js";
import { requireFinite } from "../update.js";
import { budgetsNeeded, sequenceOf, toBatch, type BudgetKey, type Misfit, type SftSequence } from "./data.js";
import { loadTranscripts, setAside, type LoadedTranscripts } from "./transcripts.js";

export type SftEvent =
  | CheckpointEvent
  | Notice
  | {
      kind: "start";
      folder: string;
      steps: number;
      resumedFrom: number | null;
      transcripts: { training: number; validation: number; leftOut: number };
      /** Of one epoch, and how many of them carry loss. */
      tokens: number;
      policyTokens: number;
      /** What is expected, where the policy computes on this machine. */
      memory?: MemoryPlan;
    }
  | { kind: "step"; step: number; steps: number; metrics: MetricValues; tokensPerSecond: number; secondsLeft: number }
  | { kind: "progress"; step: number; done: number; total: number }
  /** Mean −log p of policy tokens in the transcripts set aside. */
  | { kind: "validation"; step: number; loss: number }
  | { kind: "end"; result: SftResult };

export interface SftResult {
  /** The run folder; its `best/` is a model to train further, evaluate and ask. */
  folder: string;
  status: "finished" | "out-of-time" | "interrupted";
  steps: number;
  /** Seconds of training, validation left out. */
  seconds: number;
  best: BestScore | null;
  transcripts: { training: number; validation: number; leftOut: number };
  /** Nats per policy token on the transcripts set aside, before and at the best checkpoint; null where none were set aside. */
  validation: { before: number | null; best: number | null };
  peakMemoryMb: number;
}

export interface SftOptions {
  /** In place of the one `model` describes; closing it stays the caller's business. */
  policy?: Policy;
  /** In place of `sft.transcripts`. */
  transcripts?: readonly Transcript[];
  onEvent?: (event: SftEvent) => void;
  /** Stops the run after the step under way and leaves it ready to continue; the result then says `interrupted`. */
  signal?: AbortSignal;
}

/**
 * Trains on transcripts. A run folder that exists is continued from its last checkpoint, with the same outcome as if it had
 * never stopped; a finished one only reports.
 * @throws UserError for configurations, transcripts and folders that cannot be used, and when training diverges
 */
export async function sft(input: ConfigInput, options: SftOptions = {}): Promise<SftResult> {
  if (options.policy === undefined) refuseServed(parseConfig(input));
  const asked = withRunFolder(await settleConfig(input, options));
  const { folder } = asked.run;
  const emit = options.onEvent ?? warnProcess;
  return inRunFolder(asked, "sft", async (begin, begun) => {
    const earlier = await readResult<SftResult>(folder);
    if (earlier?.status === "finished") {
      emit({ kind: "end", result: earlier });
      return earlier;
    }
    const loaded: LoadedTranscripts =
      options.transcripts === undefined
        ? await loadTranscripts(begun)
        : { transcripts: [...options.transcripts], notTaken: 0 };
    if (options.policy === undefined) await requireOwnLora(begun);
    const model = options.policy ?? (await readModel(begun.model.folder, { signal: options.signal }));
    if (options.policy === undefined) {
      const isBuiltIn = options.transcripts === undefined && begun.sft.transcripts === "atlas";
      const wrong = isBuiltIn ? null : wrongModel(begun, loaded.transcripts, model.tokenizer);
      warnOf(emit, await otherPrompt(begun), wrong);
    }
    const prepared = await prepare(begun, model, loaded, { emit, signal: options.signal });
    const config = withBudgetsOf(begun, { rollout: { ...begun.rollout, ...budgetsNeeded(all(prepared)) } });
    const texts = () =>
      Promise.resolve(
        trajectoryTexts(
          prepared.training.map(({ trajectory }) => trajectory),
          model,
        ),
      );
    const fitting = await fittingOf(begun, options, texts, folder);
    const policy = await openPolicy(config, options, "supervision", { ...fitting, onNotice: emit });
    try {
      requireTraining(policy.value);
      const settled = withPrecision(config, policy.value.precision);
      if (hasAuto(begun) || begun.run.precision === "auto") await writeRunConfig(folder, settled);
      begin();
      const parts = { policy: policy.value, ...prepared };
      return await runSft({ config: settled, parts, folder, emit, signal: options.signal });
    } finally {
      await policy.close();
    }
  });
}

/** Without a listener, warnings go to the process. */
function warnProcess(event: SftEvent): void {
  if (event.kind === "warning") noticeToProcess(event);
}

function requireTraining({ capabilities }: Policy): void {
  if (!capabilities.training) {
    throw new UserError(`The policy engine ${capabilities.engine} cannot train. Use the local engine.`);
  }
}

interface Prepared {
  training: readonly SftSequence[];
  validation: readonly SftSequence[];
  /** Transcripts that do not fit. */
  leftOut: number;
}

interface SftParts extends Prepared {
  policy: Policy;
}

function all({ training, validation }: Prepared): SftSequence[] {
  return [...training, ...validation];
}

interface SftRun extends Omit<Run, "parts" | "emit"> {
  parts: SftParts;
  emit: (event: SftEvent) => void;
}

/** Replays every transcript, and warns of those that do not fit. */
async function prepare(
  config: Config,
  model: ModelFacts,
  { transcripts, notTaken }: LoadedTranscripts,
  { emit, signal }: { emit: SftRun["emit"]; signal?: AbortSignal },
): Promise<Prepared> {
  const misfits = new Map<Misfit["breaks"], { places: string[]; needed: number }>();
  const sequence = async (transcript: Transcript): Promise<SftSequence[]> => {
    const made = await sequenceOf(transcript, model, config);
    if (!("breaks" in made)) return [made];
    const { places, needed } = misfits.get(made.breaks) ?? { places: [], needed: 0 };
    places.push(transcript.place);
    misfits.set(made.breaks, { places, needed: Math.max(needed, made.needed) });
    return [];
  };
  const sequences = async (of: readonly Transcript[]): Promise<SftSequence[]> =>
    (await mapInSlices(of, sequence, signal)).flat();
  const split = setAside(transcripts, config.sft.validation, config.train.seed);
  const training = await sequences(split.training);
  const validation = await sequences(split.validation);
  const warnings = [...misfits].map(([breaks, { places, needed }]) => {
    const which = `${places.length} of ${transcripts.length} transcripts`;
    const first = `and are left out, the first at ${places[0]}.`;
    return breaks === "passages"
      ? `${which} hold passages that cannot be made harmless ${first}`
      : `${which} break ${breaks}${ofContext(breaks, model)} ${first} ${remedy(breaks, needed, model)}`;
  });
  if (training.length === 0) {
    throw new UserError(`No transcript fits the budgets of a rollout. ${warnings.join(" ")}`);
  }
  if (notTaken > 0) {
    warnings.push(
      `${notTaken} recorded trajectories are left out: no answer, a malformed turn, or a reward below sft.minReward=${config.sft.minReward}.`,
    );
  }
  for (const message of warnings) emit({ kind: "warning", message });
  return { training, validation, leftOut: transcripts.length - training.length - validation.length };
}

function ofContext(key: BudgetKey, { contextLength }: ModelFacts): string {
  return key === "rollout.maxTokens" ? ` or the model's context of ${contextLength} tokens` : "";
}

function remedy(key: BudgetKey, needed: number, { contextLength }: ModelFacts): string {
  const unit = key === "rollout.maxSearches" ? "searches" : "tokens";
  if (key === "rollout.maxTokens" && needed > contextLength)
    return `The longest needs ${needed} tokens, more than the model can read: shorten it, or take a model with a longer context.`;
  return `The longest needs ${needed} ${unit}: set ${key}=${needed} to learn from all of them.`;
}

async function runSft(run: SftRun): Promise<SftResult> {
  const { folder, emit, signal, parts } = run;
  const { state: start, resumedFrom } = await restoreCheckpoint(run);
  const tokens = parts.training.reduce((sum, { datum }) => sum + datum.tokens_T.length, 0);
  const policyTokens = parts.training.reduce((sum, sequence) => sum + sequence.policyTokens, 0);
  const { memory } = parts.policy;
  const steps = sftSteps(run);
  emit({ kind: "start", folder, steps, resumedFrom, transcripts: counts(run), tokens, policyTokens, memory });
  if (resumedFrom === null) await saveExamples(run);
  let state = start;
  try {
    state = await sftLoop(run, start);
    signal?.throwIfAborted();
    const result = await resultOf(run, state, state.step >= steps ? "finished" : "out-of-time");
    await draw(result);
    await saveResult(result);
    emit({ kind: "end", result });
    return result;
  } catch (error) {
    if (!isAbortOf(signal, error)) throw error;
    return resultOf(run, state, "interrupted");
  }
}

/** Trains from `start` to the last step: step, validation, checkpoint. When the signal aborts, what is complete is saved. */
async function sftLoop(run: SftRun, start: TrainState): Promise<TrainState> {
  let state = start;
  let saved = start.step;
  try {
    for (;;) {
      if (state.pending !== null) state = await completeStep(run, state, state.pending);
      const isOver = isLastStep(run, state);
      const isDue = state.step !== saved && (isOver || state.step % run.config.train.checkpointEvery === 0);
      if (isDue) saved = await writeCheckpoint(run, state);
      if (isOver) return state;
      state = await takeStep(run, state);
    }
  } catch (error) {
    if (!isAbortOf(run.signal, error)) throw error;
    if (state.step !== saved) await writeCheckpoint(run, state);
    return state;
  }
}

/** Optimizer steps of the whole run. */
function sftSteps({ config, parts }: SftRun): number {
  return Math.ceil((config.sft.epochs * parts.training.length) / config.sft.batch);
}

function isLastStep(run: SftRun, state: TrainState): boolean {
  return state.step >= sftSteps(run) || isOutOfTime(run.config, state);
}

function counts({ parts: { training, validation, leftOut } }: SftRun): SftResult["transcripts"] {
  return { training: training.length, validation: validation.length, leftOut };
}

/** The first sequences as they are learned from, in the format of traces: to look at before a long run. */
async function saveExamples({ folder, config, parts }: SftRun): Promise<void> {
  const shown = parts.training.slice(0, config.train.saveTrajectories);
  if (shown.length === 0) return;
  const groups = shown.map(({ transcript: { id, question, answers }, trajectory }) => ({
    question: { id, question, answers },
    trajectories_G: [trajectory],
    rewards_G: [1],
  }));
  await saveTrajectories(folder, 0, groups);
}

/** One optimizer step on the next batch: epochs follow each other, each shuffled anew; the last batch may be smaller. */
async function takeStep(run: SftRun, before: TrainState): Promise<TrainState> {
  const { config, signal, emit } = run;
  const { policy, training } = run.parts;
  signal?.throwIfAborted();
  const started = performance.now();
  const steps = sftSteps(run);
  const drawn = before.step * config.sft.batch;
  const size = Math.min(config.sft.batch, config.sft.epochs * training.length - drawn);
  const batch = drawItems(training, config.train.seed, drawn, size);
  const { data_D, tokens } = toBatch(batch.map(({ item }) => item));
  const optimizer = { ...config.optimizer, learningRate: config.sft.learningRate };
  const learningRate = learningRateAt(before.step, steps, optimizer);

  const { loss } = await policy.forwardBackward(data_D, { kind: "cross_entropy" });
  requireFinite("loss", loss, before.step, "sft.learningRate");
  const { gradNorm } = await policy.optimStep({ ...optimizer, learningRate });
  requireFinite("gradient norm", gradNorm, before.step, "sft.learningRate");

  const stepSeconds = (performance.now() - started) / 1000;
  const step = before.step + 1;
  const seconds = before.seconds + stepSeconds;
  const metrics: MetricValues = {
    "loss/perToken": loss,
    gradNorm,
    learningRate,
    "tokens/trained": tokens,
    "time/total": seconds,
    "time/step": stepSeconds,
    "time/train": stepSeconds,
    "memory/peak": peakMemoryMb(),
  };
  const tokensPerSecond = data_D.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0) / stepSeconds;
  const left = secondsLeft(config, steps, { step, seconds });
  emit({ kind: "step", step, steps, metrics, tokensPerSecond, secondsLeft: left });
  return { ...before, step, seconds, pending: metrics };
}

/** Validates where it is time to, keeps the best policy, and writes the step's line. */
async function completeStep(run: SftRun, state: TrainState, pending: MetricValues): Promise<TrainState> {
  const { evalEvery, keepBest } = run.config.train;
  const { validation } = run.parts;
  const isLast = isLastStep(run, state);
  const isDue = isLast || (evalEvery > 0 && state.step % evalEvery === 0);
  let { best } = state;
  let measured: MetricValues = {};
  if (isDue && validation.length > 0) {
    const started = performance.now();
    const loss = await validationLoss(run, state.step);
    measured = { "loss/validation": loss, "time/evaluation": (performance.now() - started) / 1000 };
    const isBest = best === null || -loss >= best.score || keepBest === "last";
    if (isBest) best = await keepPolicy(run, { step: state.step, score: -loss });
  } else if (isLast && validation.length === 0) {
    // Nothing to choose by: the last policy is kept.
    best = await keepPolicy(run, { step: state.step, score: -(pending["loss/perToken"] ?? 0) });
  }
  await appendMetrics(run.folder, { step: state.step, ...pending, ...measured });
  return { ...state, best, pending: null };
}

/** Mean −log p of the policy's tokens, a batch at a time so that Ctrl-C is heard. */
async function validationLoss(run: SftRun, step: number): Promise<number> {
  const { config, signal, emit } = run;
  const { policy, validation } = run.parts;
  let sum = 0;
  let tokens = 0;
  for (let done = 0; done < validation.length; done += config.sft.batch) {
    signal?.throwIfAborted();
    const batch = validation.slice(done, done + config.sft.batch);
    const logprobs_D_T = await policy.logprobs(batch.map(({ datum }) => datum.tokens_T));
    batch.forEach(({ datum: { sampledMask_T }, policyTokens }, row) => {
      sampledMask_T.forEach((sampled, t) => (sum -= sampled * logprobs_D_T[row][t]));
      tokens += policyTokens;
    });
    emit({ kind: "progress", step, done: done + batch.length, total: validation.length });
  }
  const loss = sum / tokens;
  emit({ kind: "validation", step, loss });
  return loss;
}

async function resultOf(run: SftRun, state: TrainState, status: SftResult["status"]): Promise<SftResult> {
  const lines = await readMetrics(run.folder);
  const best = status === "interrupted" ? state.best : await readBest(run.folder);
  const lossAt = (step: number | undefined): number | null =>
    lines.find((line) => line.step === step)?.["loss/validation"] ?? null;
  return {
    folder: run.folder,
    status,
    steps: state.step,
    seconds: state.seconds,
    best,
    transcripts: counts(run),
    validation: { before: lossAt(0), best: lossAt(best?.step) },
    peakMemoryMb: peakMemoryMb(),
  };
}

async function draw(result: SftResult): Promise<void> {
  const nats = (loss: number | null): string => (loss === null ? "not measured" : `${loss.toFixed(3)} nats per token`);
  const title = `Learning from transcripts: ${result.steps} steps, ${Math.round(result.seconds)} s of training`;
  await writePictures(result.folder, title, [
    ["transcripts learned from", String(result.transcripts.training)],
    ["transcripts set aside", String(result.transcripts.validation)],
    ["their loss before", nats(result.validation.before)],
    ["their loss at the best checkpoint", nats(result.validation.best)],
    ["best checkpoint", bestInWords(result.best)],
    await precisionRow(result.folder),
    ["peak memory", `${result.peakMemoryMb} MB`],
  ]);
}
