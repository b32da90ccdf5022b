/** @file Evaluation in the course of training: it draws the curve and chooses the checkpoint that is kept. */
import path from "node:path";
import type { Evaluation } from "../eval/evaluation.js";
import { runEvaluation } from "../eval/run-evaluation.js";
import type { Config } from "./config/config.js";
import { saveBest, type BestScore, type TrainState } from "./checkpoint.js";
import type { MetricValues } from "./metrics.js";
import type { Run } from "./run.js";

/**
 * Evaluates on the validation questions and keeps the policy as `best/` when none before was better. Among equals the
 * later one is kept: it has trained longer on what the score no longer shows.
 */
export async function validate(
  run: Run,
  state: TrainState,
): Promise<{ metrics: MetricValues; best: BestScore | null }> {
  const { train } = run.config;
  const questions = run.parts.validation.slice(0, train.evalSize);
  if (questions.length === 0) return { metrics: {}, best: state.best };
  const started = performance.now();
  const evaluateAt = async (temperature: number): Promise<Evaluation> => {
    const evaluation = await runEvaluation(run.parts.policy, run.parts.task, questions, {
      temperature,
      seed: train.seed,
      concurrency: run.config.rollout.maxConcurrent,
      signal: run.signal,
      onProgress: (done, total) => run.emit({ kind: "progress", phase: "validation", step: state.step, done, total }),
    });
    run.emit({ kind: "evaluation", phase: "validation", step: state.step, evaluation });
    return evaluation;
  };
  const greedy = await evaluateAt(0);
  const sampled = train.evalModes === "both" ? await evaluateAt(1) : null;
  const best = await keepBest(run, state, score(train.keepBest, greedy, sampled));
  const seconds = (performance.now() - started) / 1000;
  return { metrics: { ...validationMetrics(greedy, sampled), "time/evaluation": seconds }, best };
}

async function keepBest(run: Run, state: TrainState, value: number): Promise<BestScore | null> {
  const isBetter = run.config.train.keepBest === "last" || state.best === null || value >= state.best.score;
  if (!isBetter) return state.best;
  const best = { step: state.step, score: value };
  await saveBest(run.folder, run.parts.policy, best);
  run.emit({ kind: "best", best, folder: path.join(run.folder, "best") });
  return best;
}

function score(by: Config["train"]["keepBest"], greedy: Evaluation, sampled: Evaluation | null): number {
  const atOne = sampled?.exactMatch.value ?? greedy.exactMatch.value;
  if (by === "sampled") return atOne;
  return by === "average" ? (greedy.exactMatch.value + atOne) / 2 : greedy.exactMatch.value;
}

function validationMetrics(greedy: Evaluation, sampled: Evaluation | null): MetricValues {
  return {
    "em/validation": greedy.exactMatch.value,
    "em/validation/low": greedy.exactMatch.low,
    "em/validation/high": greedy.exactMatch.high,
    "searches/validation": greedy.searchesPerQuestion.value,
    ...(sampled === null
      ? {}
      : {
          "em/validation/sampled": sampled.exactMatch.value,
          "em/validation/sampled/low": sampled.exactMatch.low,
          "em/validation/sampled/high": sampled.exactMatch.high,
        }),
  };
}
