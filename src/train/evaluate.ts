/** @file Evaluation from a configuration, without training. */
import { buildAtlas } from "../data/atlas/atlas.js";
import { loadQuestions } from "../data/questions.js";
import { toReport, type Evaluation, type EvaluationRecord } from "../eval/evaluation.js";
import {
  EvaluationFolder,
  isEvaluationFolder,
  questionsChecksum,
  readEvaluation,
  readRecords,
  requireSame,
  type EvaluationHead,
  type EvaluationSettings,
} from "../eval/folder.js";
import { answersInCorpus, type CorpusPassages } from "../eval/in-corpus.js";
import { runEvaluation, type Task } from "../eval/run-evaluation.js";
import type { Question } from "../types.js";
import { fittingOf, questionTexts } from "./calibration.js";
import { parseConfig, withBudgetsOf, withPrecision, type Config, type ConfigInput } from "./config/config.js";
import { modelFingerprint, readModel, settleConfig } from "./model-folder.js";
import { openPolicy } from "./open-policy.js";
import { openTask } from "./open-task.js";
import type { GivenParts } from "./parts.js";
import { requireQuestions, withinHops } from "./questions.js";
import { sourceCommit } from "./run-folder.js";
import { isServed, modelName } from "./served-model.js";
import { noticeToProcess, warnOf, type OnNotice } from "./notices.js";
import { tooSmall } from "./step-warnings.js";
import type { MemoryPlan, Policy, ServerUsage } from "../contracts/policy.js";

export interface EvaluateOptions extends Omit<GivenParts, "algorithm" | "validation" | "test"> {
  /** Is told what was measured, and what looks like a mistake. Default: warnings to the process, as Node's own. */
  onNotice?: OnNotice;
  /** Most questions; the first ones are taken. Default all. */
  limit?: number;
  /** Whether to look for the answers in the whole corpus, where this process can read it: one pass over all passages. Default true. */
  answerInCorpus?: boolean;
  /** Told before anything is computed what memory is expected, where the policy computes on this machine. */
  onMemory?: (plan: MemoryPlan) => void;
  /** Told in the end what a server has used, where the model stands behind one. */
  onUsage?: (usage: ServerUsage) => void;
  onProgress?: (mode: "greedy" | "sampled" | "corpus", done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface EvaluateResult {
  greedy: Evaluation;
  /** At temperature 1; absent when `train.evalModes` is greedy. */
  sampled?: Evaluation;
  /** In what frozen weights were multiplied, where the policy computes on this machine. */
  precision?: Policy["precision"];
}

export interface EvaluateOnceOptions extends EvaluateOptions {
  /** 0, the default, is greedy. */
  temperature?: number;
  /** At each question. Default: 1. */
  attempts?: number;
  /** Default: `train.seed`. */
  seed?: number;
  /** A folder that keeps every attempt as soon as it is made: the same evaluation goes on from it, and a finished one is only read. */
  out?: string;
  /** What the folder calls the questions. Default: `data.test`, or `data.questions`. */
  source?: string;
  /** What the folder calls the way in which questions are attempted. Default: after the configuration. */
  method?: string;
  /** Gets the attempts that the folder holds, where it holds some, before others are made. */
  onEarlier?: (records: readonly EvaluationRecord[]) => void;
  /** Gets each attempt as soon as it is scored, with those that are done, of all. */
  onRecord?: (record: EvaluationRecord, done: number, total: number) => void;
}

export interface EvaluateOnceResult {
  evaluation: Evaluation;
  head: EvaluationHead;
  /** Whether the folder held it all, and nothing was computed. */
  wasFinished: boolean;
}

/**
 * Evaluates `model.folder` on `data.test`, or else on all of `data.questions` (of atlas, and of a folder of questions: its test questions).
 * @throws UserError for configurations and files that cannot be used; the signal's reason when it aborts
 */
export async function evaluate(input: ConfigInput, options: EvaluateOptions = {}): Promise<EvaluateResult> {
  const asked = await settleConfig(input, options);
  const questions = await questionsOf(asked, options);
  return withParts(asked, questions, options, async (parts) => {
    const inCorpus = await corpusAnswers(parts.passages, questions, [], options);
    const at = async (mode: "greedy" | "sampled"): Promise<Evaluation> =>
      runEvaluation(parts.policy, parts.task, questions, {
        temperature: mode === "greedy" ? 0 : 1,
        seed: parts.config.train.seed,
        concurrency: parts.config.rollout.maxConcurrent,
        inCorpus,
        signal: options.signal,
        onProgress: (done, total) => options.onProgress?.(mode, done, total),
      });
    const { precision } = parts.policy;
    const greedy = await at("greedy");
    warnOfBudgets(parts.config, greedy, options);
    return asked.train.evalModes === "greedy"
      ? { greedy, precision }
      : { greedy, sampled: await at("sampled"), precision };
  });
}

/**
 * One evaluation of `model.folder`, on the same questions, that can be kept in a folder and be interrupted.
 * @throws UserError as `evaluate`, and for a folder that holds something else; the signal's reason when it aborts: then the folder has what was done
 */
export async function evaluateOnce(input: ConfigInput, options: EvaluateOnceOptions = {}): Promise<EvaluateOnceResult> {
  const { out } = options;
  const saved = out !== undefined && isEvaluationFolder(out) ? await readEvaluation(out) : undefined;
  const settled = await settleConfig(input, options);
  const asked = saved === undefined ? settled : asSettled(settled, saved.head);
  const questions = await questionsOf(asked, options);
  if (out !== undefined && saved !== undefined) {
    // Before anything large is opened.
    requireSame(out, saved.head, await headOf(asked, saved.head.precision, questions, options));
    if (saved.report !== null)
      return { evaluation: { ...saved.report, records: await readRecords(out) }, head: saved.head, wasFinished: true };
  }
  return withParts(asked, questions, options, async (parts) => {
    const head = await headOf(parts.config, parts.policy.precision, questions, options);
    const folder = out === undefined ? undefined : await EvaluationFolder.open(out, head);
    try {
      const evaluation = await evaluateInto(folder, head, parts, questions, options);
      warnOfBudgets(parts.config, evaluation, options);
      return { evaluation, head, wasFinished: false };
    } finally {
      await folder?.close();
    }
  });
}

/** The configuration with what was measured for the evaluation that goes on. */
function asSettled(asked: Config, { settings, precision }: EvaluationHead): Config {
  const before = parseConfig(settings as ConfigInput);
  return withPrecision(withBudgetsOf(asked, before), precision ?? before.run.precision);
}

async function headOf(
  config: Config,
  precision: Policy["precision"],
  questions: readonly Question[],
  { policy, temperature = 0, attempts = 1, seed = config.train.seed, source, method }: EvaluateOnceOptions,
): Promise<EvaluationHead> {
  const { data, model, search } = config;
  return {
    model: policy === undefined ? modelName(config) : policy.capabilities.engine,
    weights: policy === undefined && !isServed(config) ? await modelFingerprint(model.folder) : "",
    method: method ?? methodOf(config),
    engine: search.engine,
    ...(precision === undefined ? {} : { precision }),
    settings: withPrecision(config, precision ?? config.run.precision) as unknown as EvaluationSettings,
    questions: {
      source: source ?? (data.test === "" ? data.questions : data.test),
      n: questions.length,
      checksum: questionsChecksum(questions),
    },
    commit: sourceCommit(),
    ...{ seed, temperature, attempts },
    startedAt: new Date().toISOString(),
  };
}

/** How a configuration lets a question be attempted, in a word. */
function methodOf({ search, rollout }: Config): string {
  if (rollout.method !== "search-r1") return rollout.method;
  const searches = search.engine !== "none" && rollout.maxSearches > 0;
  if (rollout.context === "question") return searches ? "rag+search" : "rag";
  return searches ? "search-r1" : "direct";
}

async function evaluateInto(
  folder: EvaluationFolder | undefined,
  head: EvaluationHead,
  { policy, task, passages, config }: Parts,
  questions: readonly Question[],
  options: EvaluateOnceOptions,
): Promise<Evaluation> {
  const { signal, onProgress, onRecord } = options;
  const { temperature, attempts, seed } = head;
  const earlier = folder?.earlier ?? [];
  const before = folder?.spent ?? { seconds: 0, costUsd: 0 };
  const started = performance.now();
  const paid = await paidUsd(task, policy);
  const spent = async () => ({
    seconds: before.seconds + (performance.now() - started) / 1000,
    costUsd: before.costUsd + (await paidUsd(task, policy)) - paid,
  });
  const total = questions.length * attempts;
  let done = earlier.length;
  if (done > 0) options.onEarlier?.(earlier);
  try {
    const inCorpus = await corpusAnswers(passages, questions, earlier, options);
    const found = await runEvaluation(policy, task, questions, {
      ...{ temperature, seed, attempts, earlier, inCorpus, signal },
      concurrency: config.rollout.maxConcurrent,
      onProgress: (ended) => onProgress?.(temperature === 0 ? "greedy" : "sampled", ended, total),
      onRecord: (record) => {
        onRecord?.(record, ++done, total);
        return folder?.add(record);
      },
    });
    const { seconds, costUsd } = await spent();
    const evaluation = { ...found, seconds, ...(costUsd > 0 ? { costUsd } : {}), ...judgementsOf(task) };
    await folder?.save({ seconds, costUsd }, toReport(evaluation));
    return evaluation;
  } catch (error) {
    // The failure is what is told: a policy that is gone cannot even say what it has cost.
    await spent()
      .then((soFar) => folder?.save(soFar))
      .catch(() => undefined);
    throw error;
  }
}

/** US dollars that this process has paid so far, where prices are known. */
async function paidUsd(task: Task, policy: Policy): Promise<number> {
  const { spentUsd = 0 } = await policy.stats();
  return spentUsd + (task.searchCounts?.().spentUsd ?? 0);
}

function judgementsOf({ judge, takeJudgeReport }: Task): Pick<Evaluation, "judgements"> {
  return judge === undefined || takeJudgeReport === undefined ? {} : { judgements: takeJudgeReport() };
}

/** For each question whether the corpus holds an answer; undefined where nobody can know. What earlier attempts know is not looked for again. */
async function corpusAnswers(
  passages: CorpusPassages | undefined,
  questions: readonly Question[],
  earlier: readonly EvaluationRecord[],
  { answerInCorpus = true, signal, onProgress }: EvaluateOptions,
): Promise<boolean[] | undefined> {
  if (passages === undefined || !answerInCorpus) return undefined;
  const known = new Map(
    earlier.flatMap(({ index, answerInCorpus: found }) => (found === undefined ? [] : [[index, found === 1]])),
  );
  const missing = questions.flatMap((_, index) => (known.has(index) ? [] : [index]));
  const looked = await answersInCorpus(
    passages,
    missing.map((index) => questions[index]),
    { signal, onProgress: (done, total) => onProgress?.("corpus", done, total) },
  );
  for (const [place, index] of missing.entries()) known.set(index, looked[place]);
  return questions.map((_, index) => known.get(index) === true);
}

/** What an evaluation works with. */
interface Parts {
  /** With what was measured. */
  config: Config;
  task: Task;
  policy: Policy;
  passages?: CorpusPassages;
}

/** Opens what an evaluation works with, and closes it after `use`. */
async function withParts<T>(
  asked: Config,
  questions: readonly Question[],
  options: EvaluateOptions,
  use: (parts: Parts) => Promise<T>,
): Promise<T> {
  const { onNotice = noticeToProcess, signal } = options;
  const task = await openTask(asked, options, { questions, onNotice, signal, judges: true });
  const { config, passages } = task;
  try {
    const texts = async () =>
      questionTexts({
        ...{ config, given: options, task: task.value, questions },
        model: await readModel(config.model.folder, { signal }),
      });
    const fitting = await fittingOf(config, options, texts);
    const policy = await openPolicy(config, options, "sampling", { ...fitting, onNotice });
    try {
      if (policy.value.memory) options.onMemory?.(policy.value.memory);
      return await use({ config, task: task.value, policy: policy.value, passages });
    } finally {
      const usage = policy.value.usage?.();
      if (usage) options.onUsage?.(usage);
      await policy.close();
    }
  } finally {
    await task.close();
  }
}

function warnOfBudgets(config: Config, { records }: Evaluation, { onNotice = noticeToProcess }: EvaluateOptions): void {
  const attempts = records.map(({ trajectory }) => trajectory);
  warnOf(onNotice, ...Object.values(tooSmall(config, attempts, "the evaluation")));
}

async function questionsOf(config: Config, { questions, limit = Infinity }: EvaluateOptions): Promise<Question[]> {
  const all = (questions ?? (await questionsToEvaluate(config))).slice(0, limit);
  requireQuestions(all, "The set to evaluate");
  return all;
}

async function questionsToEvaluate({ data }: Config): Promise<Question[]> {
  const source = data.test === "" ? data.questions : data.test;
  if (source !== "atlas") return loadQuestions(source, "test");
  return buildAtlas({ seed: data.worldSeed }).questions.test.filter(withinHops(data));
}
