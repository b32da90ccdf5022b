/**
 * @file Supervised training on transcripts: the cold start of reinforcement, and the baseline beside it. Cross-entropy on the
 * policy's tokens; what the environment wrote is read and never learned. A run is a folder like any other, and a stopped
 * one goes on to the same result.
 */
import path from "node:path";
import { UserError } from "../../errors.js";
import type { Transcript } from "../../data/transcripts.js";
import type { MemoryPlan, Policy } from "../../contracts/policy.js";
import { readBest, saveBest, type BestScore, type TrainState } from "../checkpoint.js";
import { parseConfig, type ConfigInput } from "../config/config.js";
import { appendMetrics, readMetrics } from "../metrics-file.js";
import { pinConfig, withProtocol } from "../model-folder.js";
import { openPolicy, requireOwnLora } from "../parts.js";
import { drawItems } from "../question-order.js";
import { writePictures } from "../report/report.js";
import { peakMemoryMb, readResult, saveResult } from "../result.js";
import { inRunFolder, newRunFolder, saveTrajectories } from "../run-folder.js";
import { learningRateAt } from "../schedule.js";
import { sequenceOf, toBatch, type Misfit, type SftSequence } from "./data.js";
import { loadTranscripts, setAside, type LoadedTranscripts } from "./transcripts.js";
import { isAbortOf, isOutOfTime, restore, runSteps, secondsLeft, type CheckpointEvent, type Course } from "../steps.js";
import { requireFinite } from "../update.js";
import type { MetricValues } from "../metrics.js";

export type SftEvent =
  | CheckpointEvent
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
  | { kind: "best"; best: BestScore; folder: string }
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
  const given = parseConfig(input);
  const parsed =
    options.policy === undefined
      ? await pinConfig(given, { signal: options.signal })
      : withProtocol(given, options.policy.tokenizer);
  const folder = parsed.run.folder === "" ? newRunFolder() : parsed.run.folder;
  const config = { ...parsed, run: { ...parsed.run, folder } };
  const emit = options.onEvent ?? (() => undefined);
  return inRunFolder(folder, config, "sft", async (begin) => {
    const earlier = await readResult<SftResult>(folder);
    if (earlier?.status === "finished") {
      emit({ kind: "end", result: earlier });
      return earlier;
    }
    const loaded: LoadedTranscripts =
      options.transcripts === undefined
        ? await loadTranscripts(config)
        : { transcripts: [...options.transcripts], notTaken: 0 };
    if (options.policy === undefined) await requireOwnLora(config);
    const policy = await openPolicy(config, options, "supervision");
    try {
      const run = await prepare({ config, policy: policy.value, folder, emit, signal: options.signal }, loaded);
      begin();
      return await runSft(run);
    } finally {
      await policy.close();
    }
  });
}

interface SftRun extends Pick<Course, "config" | "policy" | "folder" | "signal"> {
  emit: (event: SftEvent) => void;
  training: readonly SftSequence[];
  validation: readonly SftSequence[];
  leftOut: number;
  steps: number;
}

/** Replays every transcript, and says which do not fit. */
async function prepare(
  base: Pick<SftRun, "config" | "policy" | "folder" | "signal" | "emit">,
  { transcripts, notTaken }: LoadedTranscripts,
): Promise<SftRun> {
  const { config, policy, emit } = base;
  if (!policy.capabilities.training) {
    throw new UserError(`The policy engine ${policy.capabilities.engine} cannot train. Use the local engine.`);
  }
  const misfits = new Map<Misfit, string[]>();
  const sequences = async (of: readonly Transcript[]): Promise<SftSequence[]> => {
    const made: SftSequence[] = [];
    for (const transcript of of) {
      const sequence = await sequenceOf(transcript, policy, config);
      if (typeof sequence !== "string") made.push(sequence);
      else misfits.set(sequence, [...(misfits.get(sequence) ?? []), transcript.place]);
    }
    return made;
  };
  const parts = setAside(transcripts, config.sft.validation, config.train.seed);
  const training = await sequences(parts.training);
  const validation = await sequences(parts.validation);
  const warnings = [...misfits].map(
    ([key, places]) =>
      `${places.length} of ${transcripts.length} transcripts break ${key}${ofContext(key, policy)} and are left out, the first at ${places[0]}. Raise it to learn from them.`,
  );
  if (training.length === 0) {
    throw new UserError(`No transcript fits the budgets of a rollout. ${warnings.join(" ")}`);
  }
  if (notTaken > 0) {
    warnings.push(
      `${notTaken} recorded trajectories are left out: no answer, a malformed turn, or a reward below sft.minReward=${config.sft.minReward}.`,
    );
  }
  for (const message of warnings) emit({ kind: "warning", message });
  return {
    ...base,
    training,
    validation,
    leftOut: transcripts.length - training.length - validation.length,
    steps: Math.ceil((config.sft.epochs * training.length) / config.sft.batch),
  };
}

function ofContext(key: Misfit, policy: Policy): string {
  return key === "rollout.maxTokens" ? ` or the model's context of ${policy.contextLength} tokens` : "";
}

async function runSft(run: SftRun): Promise<SftResult> {
  const { folder, config, policy, emit, signal, training, steps } = run;
  const { state: start, resumedFrom } = await restore(run);
  const tokens = training.reduce((sum, { datum }) => sum + datum.tokens_T.length, 0);
  const policyTokens = training.reduce((sum, sequence) => sum + sequence.policyTokens, 0);
  const { memory } = policy;
  emit({ kind: "start", folder, steps, resumedFrom, transcripts: counts(run), tokens, policyTokens, memory });
  if (resumedFrom === null) await saveExamples(run);
  let state = start;
  try {
    const course: Course = {
      folder,
      policy,
      config,
      emit,
      signal,
      isLast: (current) => current.step >= steps || isOutOfTime(config, current),
      takeStep: (current) => takeStep(run, current),
      settle: (current, pending) => settle(run, current, pending, course.isLast(current)),
    };
    state = await runSteps(course, start);
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

function counts({ training, validation, leftOut }: SftRun): SftResult["transcripts"] {
  return { training: training.length, validation: validation.length, leftOut };
}

/** The first sequences as they are learned from, in the format of traces: to look at before a long run. */
async function saveExamples({ folder, config, training }: SftRun): Promise<void> {
  const shown = training.slice(0, config.train.saveTrajectories);
  if (shown.length === 0) return;
  const groups = shown.map(({ transcript: { id, question, answers }, trajectory }) => ({
    question: { id, question, answers },
    trajectories_G: [trajectory],
    rewards_G: [1],
  }));
  await saveTrajectories(folder, 0, groups);
}

/** One optimizer step on the next batch: epochs follow each other, each shuffled anew; the last batch may be smaller. */
async function takeStep(run: SftRun, state: TrainState): Promise<TrainState> {
  const { config, policy, training, steps, signal, emit } = run;
  signal?.throwIfAborted();
  const started = performance.now();
  const size = Math.min(config.sft.batch, config.sft.epochs * training.length - state.step * config.sft.batch);
  const batch = drawItems(training, config.train.seed, state.step * config.sft.batch, size);
  const { data_D, tokens } = toBatch(batch.map(({ item }) => item));
  const learningRate = learningRateAt(state.step, steps, {
    ...config.optimizer,
    learningRate: config.sft.learningRate,
  });
  const { loss } = await policy.forwardBackward(data_D, { kind: "cross_entropy" });
  requireFinite("loss", loss, state.step, "sft.learningRate");
  const { gradNorm } = await policy.optimStep({ ...config.optimizer, learningRate });
  requireFinite("gradient norm", gradNorm, state.step, "sft.learningRate");
  const stepSeconds = (performance.now() - started) / 1000;
  const step = state.step + 1;
  const seconds = state.seconds + stepSeconds;
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
  const all = data_D.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);
  emit({
    kind: "step",
    step,
    steps,
    metrics,
    tokensPerSecond: all / stepSeconds,
    secondsLeft: secondsLeft(config, steps, step, seconds),
  });
  return { ...state, step, seconds, pending: metrics };
}

/** Validates if it is time to, keeps the best policy, and writes the step's line. */
async function settle(run: SftRun, state: TrainState, pending: MetricValues, isLast: boolean): Promise<TrainState> {
  const { evalEvery } = run.config.train;
  const isDue = isLast || (evalEvery > 0 && state.step % evalEvery === 0);
  let { best } = state;
  let measured: MetricValues = {};
  if (isDue && run.validation.length > 0) {
    const started = performance.now();
    const loss = await validationLoss(run, state.step);
    measured = { "loss/validation": loss, "time/evaluation": (performance.now() - started) / 1000 };
    if (best === null || -loss >= best.score || run.config.train.keepBest === "last")
      best = await keep(run, state.step, -loss);
  } else if (isLast && run.validation.length === 0) {
    // Nothing to choose by: the last policy is kept.
    best = await keep(run, state.step, -(pending["loss/perToken"] ?? 0));
  }
  await appendMetrics(run.folder, { step: state.step, ...pending, ...measured });
  return { ...state, best, pending: null };
}

async function keep({ folder, policy, emit }: SftRun, step: number, score: number): Promise<BestScore> {
  const best = { step, score };
  await saveBest(folder, policy, best);
  emit({ kind: "best", best, folder: path.join(folder, "best") });
  return best;
}

/** Mean −log p of the policy's tokens, a batch at a time so that Ctrl-C is heard. */
async function validationLoss(run: SftRun, step: number): Promise<number> {
  const { policy, validation, config, signal, emit } = run;
  let sum = 0;
  let tokens = 0;
  for (let done = 0; done < validation.length; done += config.sft.batch) {
    signal?.throwIfAborted();
    const share = validation.slice(done, done + config.sft.batch);
    const logprobs_D_T = await policy.logprobs(share.map(({ datum }) => datum.tokens_T));
    share.forEach(({ datum: { sampledMask_T }, policyTokens }, row) => {
      sampledMask_T.forEach((sampled, t) => (sum -= sampled * logprobs_D_T[row][t]));
      tokens += policyTokens;
    });
    emit({ kind: "progress", step, done: done + share.length, total: validation.length });
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
    ["best checkpoint", result.best === null ? "none" : `step ${result.best.step}`],
    ["peak memory", `${result.peakMemoryMb} MB`],
  ]);
}
