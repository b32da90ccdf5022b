/** @file Evaluation: the same environment and rewards as in training, no gradient. */
import type { Policy } from "../contracts/policy.js";
import { deriveSeed } from "../random.js";
import { squad } from "../rewards/answers.js";
import type { FormatOptions } from "../rewards/format.js";
import type { JudgeReport } from "../rewards/judge/judge.js";
import type { Reward } from "../rewards/reward.js";
import type { Question, Trajectory } from "../types.js";
import type { Environment } from "../rollout/environment.js";
import { rolloutDefaults } from "../rollout/settings.js";
import { toEvaluation, type Evaluation } from "./evaluation.js";
import { attemptAndScore } from "../rollout/environment.js";

/** Scores one trajectory. */
type Score = (question: Question, trajectory: Trajectory) => number;

/** What a policy is trained and evaluated on. */
export interface Task {
  environment: Environment;
  /** What training maximises; without a step, what it maximises in the end. */
  reward: Reward;
  /** What became of a judge's judgements since the last call, where there is one. */
  takeJudgeReport?: () => JudgeReport;
  /** What the search engine has counted since it was opened, where there is one. */
  searchCounts?: () => Readonly<Record<string, number>>;
  /** What evaluations report: 1 for a right answer, else 0. */
  exactMatch: Score;
  /** Whether an attempt kept to the protocol, where there is one. */
  isWellFormed?: (trajectory: Trajectory, options: FormatOptions) => boolean;
  /** Throws a `UserError` for a question that the environment could never attempt with this policy. */
  requireRoom?: (question: Question, policy: Policy) => void;
}

interface EvaluationOptions {
  /** 0, the default, is greedy. */
  temperature?: number;
  seed?: number;
  /** Attempts under way at once. Default: that of `rollout.maxConcurrent`. */
  concurrency?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Lets the policy attempt every question once.
 * @throws the signal's reason when aborted; whatever the environment throws
 */
export async function runEvaluation(
  policy: Policy,
  task: Task,
  questions: readonly Question[],
  options: EvaluationOptions = {},
): Promise<Evaluation> {
  const { temperature = 0, seed = 0, concurrency = rolloutDefaults.maxConcurrent, signal, onProgress } = options;
  const started = performance.now();
  const attempt = (question: Question, inner: AbortSignal): Promise<Trajectory> => {
    const own = deriveSeed(seed, "evaluation", question.source ?? "", question.id);
    return task.environment(question, { policy, temperature, seed: own, signal: inner });
  };
  const onDone = (done: number): void => onProgress?.(done, questions.length);
  const score = (question: Question, trajectory: Trajectory, inner: AbortSignal): number | Promise<number> =>
    task.reward(question, trajectory, { signal: inner });
  const attempts = await attemptAndScore(questions, attempt, score, { concurrency, signal, onDone });
  const records = questions.map((question, index) => {
    const { trajectory, reward } = attempts[index];
    const [exactMatch, squadMatch] = [task.exactMatch, squad.exactMatch].map((score) => score(question, trajectory));
    return { question, trajectory, reward, exactMatch, squadMatch };
  });
  return toEvaluation(records, { temperature, seconds: (performance.now() - started) / 1000 });
}
