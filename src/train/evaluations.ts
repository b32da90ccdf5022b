/**
 * @file The evaluations of a run. Validation questions draw the curve and choose the checkpoint that is kept; test questions judge the
 * policy before and after training, with every attempt on file.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { reportSchema, toReport, type Evaluation, type EvaluationReport } from "../eval/evaluation.js";
import { recordLine } from "../eval/folder.js";
import { runEvaluation } from "../eval/run-evaluation.js";
import { readOptionalJsonAs } from "../files/json-file.js";
import { writeError, writeFileDurably } from "../files/durable.js";
import { keepPolicy, type BestScore, type TrainState } from "./checkpoint.js";
import type { Config } from "./config/config.js";
import type { MetricValues } from "./metrics.js";
import type { TestReports } from "./result.js";
import type { Phase, Run } from "./run.js";

interface Occasion {
  phase: Exclude<Phase, "rollout">;
  /** Steps completed. */
  step: number;
  /** At temperature 0 or 1. */
  mode: "greedy" | "sampled";
}

async function evaluateRun(run: Run, { phase, step, mode }: Occasion): Promise<Evaluation> {
  const { config, parts, emit, signal } = run;
  const { evalSize, testSize, seed } = config.train;
  const questions = phase === "validation" ? parts.validation.slice(0, evalSize) : parts.test.slice(0, testSize);
  const evaluation = await runEvaluation(parts.policy, parts.task, questions, {
    temperature: mode === "greedy" ? 0 : 1,
    seed,
    concurrency: config.rollout.maxConcurrent,
    signal,
    onProgress: (done, total) => emit({ kind: "progress", phase, step, done, total }),
  });
  emit({ kind: "evaluation", phase, step, evaluation });
  return evaluation;
}

/**
 * Evaluates on the validation questions and keeps the policy as `best/` when none before was better. Among equals the
 * later one is kept: it has trained longer on what the score no longer shows.
 */
export async function validate(
  run: Run,
  { step, best }: TrainState,
): Promise<{ metrics: MetricValues; best: BestScore | null }> {
  const { evalModes, keepBest } = run.config.train;
  if (run.parts.validation.length === 0) return { metrics: {}, best };
  const started = performance.now();
  const greedy = await evaluateRun(run, { phase: "validation", step, mode: "greedy" });
  const sampled = evalModes === "both" ? await evaluateRun(run, { phase: "validation", step, mode: "sampled" }) : null;
  const score = validationScore(keepBest, greedy, sampled);
  const isBest = keepBest === "last" || best === null || score >= best.score;
  const kept = isBest ? await keepPolicy(run, { step, score }) : best;
  const seconds = (performance.now() - started) / 1000;
  return { metrics: { ...validationMetrics(greedy, sampled), "time/evaluation": seconds }, best: kept };
}

function validationScore(by: Config["train"]["keepBest"], greedy: Evaluation, sampled: Evaluation | null): number {
  const atOne = sampled?.exactMatch.value ?? greedy.exactMatch.value;
  if (by === "sampled") return atOne;
  return by === "average" ? (greedy.exactMatch.value + atOne) / 2 : greedy.exactMatch.value;
}

function validationMetrics(greedy: Evaluation, sampled: Evaluation | null): MetricValues {
  return {
    "em/validation": greedy.exactMatch.value,
    "em/validation/low": greedy.exactMatch.low,
    "em/validation/high": greedy.exactMatch.high,
    "em/squad/validation": greedy.squadMatch?.value,
    "searches/validation": greedy.searchesPerQuestion.value,
    ...(sampled === null
      ? {}
      : {
          "em/validation/sampled": sampled.exactMatch.value,
          "em/validation/sampled/low": sampled.exactMatch.low,
          "em/validation/sampled/high": sampled.exactMatch.high,
          "em/squad/validation/sampled": sampled.squadMatch?.value,
        }),
  };
}

/**
 * Evaluates the policy as it is on `train.testSize` test questions and writes `evaluations/WHEN-MODE.json` and `.jsonl`
 * (one trace per question).
 * @returns null when there are no test questions
 */
export async function testReports(run: Run, when: "before" | "after", step: number): Promise<TestReports | null> {
  const { testSize, evalModes } = run.config.train;
  if (Math.min(testSize, run.parts.test.length) === 0) return null;
  const greedy = await testReport(run, { phase: when, step, mode: "greedy" });
  if (evalModes === "greedy") return { greedy };
  return { greedy, sampled: await testReport(run, { phase: when, step, mode: "sampled" }) };
}

async function testReport(run: Run, occasion: Occasion): Promise<EvaluationReport> {
  const evaluation = await evaluateRun(run, occasion);
  const report = toReport(evaluation);
  const base = path.join(run.folder, "evaluations", `${occasion.phase}-${occasion.mode}`);
  try {
    await mkdir(path.dirname(base), { recursive: true });
    await writeFileDurably(`${base}.jsonl`, evaluation.records.map(recordLine).join(""));
    await writeFileDurably(`${base}.json`, JSON.stringify(report, null, 2) + "\n");
  } catch (error) {
    throw writeError(base, error, "Make room, then start the same run again to continue.");
  }
  return report;
}

/** The reports on file, for a run that continues; null when they are not complete. */
export async function savedReports(run: Run, when: "before" | "after"): Promise<TestReports | null> {
  const greedy = await savedReport(run, `${when}-greedy`);
  const sampled = await savedReport(run, `${when}-sampled`);
  if (greedy === null || (sampled === null && run.config.train.evalModes === "both")) return null;
  return sampled === null ? { greedy } : { greedy, sampled };
}

async function savedReport(run: Run, name: string): Promise<EvaluationReport | null> {
  const file = path.join(run.folder, "evaluations", `${name}.json`);
  return (await readOptionalJsonAs(file, reportSchema, "Delete it: the evaluation is made again.")) ?? null;
}
