/** @file Evaluation from a configuration, without training. */
import { buildAtlas } from "../data/atlas/atlas.js";
import { loadQuestions } from "../data/questions.js";
import type { Evaluation } from "../eval/evaluation.js";
import { runEvaluation } from "../eval/run-evaluation.js";
import type { Question } from "../types.js";
import { fittingOf, questionTexts } from "./calibration.js";
import type { Config, ConfigInput } from "./config/config.js";
import { readModel, settleConfig } from "./model-folder.js";
import { openPolicy } from "./open-policy.js";
import { openTask } from "./open-task.js";
import type { GivenParts } from "./parts.js";
import { requireQuestions, withinHops } from "./questions.js";
import { noticeToProcess, warnOf, type OnNotice } from "./notices.js";
import { tooSmall } from "./step-warnings.js";
import type { MemoryPlan, Policy } from "../contracts/policy.js";

export interface EvaluateOptions extends Omit<GivenParts, "algorithm" | "validation" | "test"> {
  /** Is told what was measured, and what looks like a mistake. Default: warnings to the process, as Node's own. */
  onNotice?: OnNotice;
  /** Most questions; the first ones are taken. Default all. */
  limit?: number;
  /** Told before anything is computed what memory is expected, where the policy computes on this machine. */
  onMemory?: (plan: MemoryPlan) => void;
  onProgress?: (mode: "greedy" | "sampled", done: number, total: number) => void;
  signal?: AbortSignal;
}

export interface EvaluateResult {
  greedy: Evaluation;
  /** At temperature 1; absent when `train.evalModes` is greedy. */
  sampled?: Evaluation;
  /** In what frozen weights were multiplied, where the policy computes on this machine. */
  precision?: Policy["precision"];
}

/**
 * Evaluates `model.folder` on `data.test`, or else on all of `data.questions` (of atlas, and of a folder of questions: its test questions).
 * @throws UserError for configurations and files that cannot be used; the signal's reason when it aborts
 */
export async function evaluate(input: ConfigInput, options: EvaluateOptions = {}): Promise<EvaluateResult> {
  const { limit = Infinity, onProgress, signal } = options;
  const asked = await settleConfig(input, options);
  const questions = (options.questions ?? (await questionsToEvaluate(asked))).slice(0, limit);
  requireQuestions(questions, "The set to evaluate");
  const { onNotice = noticeToProcess } = options;
  const task = await openTask(asked, options, { questions, onNotice, signal });
  const { config } = task;
  try {
    const texts = async () =>
      questionTexts({
        ...{ config, given: options, task: task.value, questions },
        model: await readModel(config.model.folder, { signal }),
      });
    const fitting = await fittingOf(config, options, texts);
    const policy = await openPolicy(config, options, "sampling", { ...fitting, onNotice });
    const { precision } = policy.value;
    if (policy.value.memory) options.onMemory?.(policy.value.memory);
    const at = (mode: "greedy" | "sampled"): Promise<Evaluation> =>
      runEvaluation(policy.value, task.value, questions, {
        temperature: mode === "greedy" ? 0 : 1,
        seed: config.train.seed,
        concurrency: config.rollout.maxConcurrent,
        signal,
        onProgress: (done, total) => onProgress?.(mode, done, total),
      });
    try {
      const greedy = await at("greedy");
      const attempts = greedy.records.map(({ trajectory }) => trajectory);
      warnOf(onNotice, ...Object.values(tooSmall(config, attempts, "the evaluation")));
      return config.train.evalModes === "greedy"
        ? { greedy, precision }
        : { greedy, sampled: await at("sampled"), precision };
    } finally {
      await policy.close();
    }
  } finally {
    await task.close();
  }
}

async function questionsToEvaluate({ data }: Config): Promise<Question[]> {
  const source = data.test === "" ? data.questions : data.test;
  if (source !== "atlas") return loadQuestions(source, "test");
  return buildAtlas({ seed: data.worldSeed }).questions.test.filter(withinHops(data));
}
