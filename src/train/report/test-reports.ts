/** @file The final judgement: the test questions, before and after training, with every attempt on file. */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { toReport, type EvaluationReport } from "../../eval/evaluation.js";
import { runEvaluation } from "../../eval/run-evaluation.js";
import { traceToLine } from "../../rollout/trace.js";
import { writeError, writeFileDurably } from "../../files/durable.js";
import type { TestReports } from "../result.js";
import type { Run } from "../run.js";

/**
 * Evaluates the policy as it is on `train.testSize` test questions and writes `evaluations/WHEN-MODE.json` and `.jsonl`
 * (one trace per question). An evaluation that is on file is not repeated.
 * @returns null when there are no test questions
 */
export async function testReports(run: Run, when: "before" | "after", step: number): Promise<TestReports | null> {
  const { testSize, evalModes } = run.config.train;
  if (Math.min(testSize, run.parts.test.length) === 0) return null;
  const greedy = await testReport(run, { when, mode: "greedy", step });
  return evalModes === "greedy"
    ? { greedy }
    : { greedy, sampled: await testReport(run, { when, mode: "sampled", step }) };
}

/** The reports on file, for a run that continues; null when they are not complete. */
export async function savedReports(run: Run, when: "before" | "after"): Promise<TestReports | null> {
  const greedy = await savedReport(run, `${when}-greedy`);
  const sampled = await savedReport(run, `${when}-sampled`);
  if (greedy === null || (sampled === null && run.config.train.evalModes === "both")) return null;
  return sampled === null ? { greedy } : { greedy, sampled };
}

interface Which {
  when: "before" | "after";
  mode: "greedy" | "sampled";
  step: number;
}

async function testReport(run: Run, { when, mode, step }: Which): Promise<EvaluationReport> {
  const evaluation = await runEvaluation(
    run.parts.policy,
    run.parts.task,
    run.parts.test.slice(0, run.config.train.testSize),
    {
      temperature: mode === "greedy" ? 0 : 1,
      seed: run.config.train.seed,
      concurrency: run.config.rollout.maxConcurrent,
      signal: run.signal,
      onProgress: (done, total) => run.emit({ kind: "progress", phase: when, step, done, total }),
    },
  );
  run.emit({ kind: "evaluation", phase: when, step, evaluation });
  const report = toReport(evaluation);
  const base = path.join(run.folder, "evaluations", `${when}-${mode}`);
  const lines = evaluation.records.map(
    ({ question, trajectory, reward }) => traceToLine({ question, trajectory, reward }) + "\n",
  );
  try {
    await mkdir(path.dirname(base), { recursive: true });
    await writeFileDurably(`${base}.jsonl`, lines.join(""));
    await writeFileDurably(`${base}.json`, JSON.stringify(report, null, 2) + "\n");
  } catch (error) {
    throw writeError(base, error, "Make room, then start the same run again to continue.");
  }
  return report;
}

async function savedReport(run: Run, name: string): Promise<EvaluationReport | null> {
  const file = path.join(run.folder, "evaluations", `${name}.json`);
  return existsSync(file) ? (JSON.parse(await readFile(file, "utf8")) as EvaluationReport) : null;
}
