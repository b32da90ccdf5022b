/** @file Evaluation: the same environment and rewards as in training, no gradient. */
import type { Policy } from "../contracts/policy.js";
import { deriveSeed } from "../random.js";
import type { FormatOptions } from "../rewards/format.js";
import type { JudgeReport } from "../rewards/judge/judge.js";
import type { Reward } from "../rewards/reward.js";
import type { Question, Trajectory } from "../types.js";
import type { Environment } from "../rollout/environment.js";
import { PromptTooLong } from "../rollout/rollout.js";
import { rolloutDefaults } from "../rollout/settings.js";
import { scoresOf, toEvaluation, type Evaluation, type EvaluationRecord } from "./evaluation.js";
import { attemptAndScore } from "../rollout/environment.js";

/** Scores one trajectory. */
type Score = (question: Question, trajectory: Trajectory) => number;

/** What a policy is trained and evaluated on. */
export interface Task {
  environment: Environment;
  /** What training maximises; without a step, what it maximises in the end. */
  reward: Reward;
  /** What a judge says of an attempt, where one was opened. */
  judge?: Reward;
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
  /** At each question. Default: 1. */
  attempts?: number;
  /** Sequences that the policy writes at once. Default: that of `rollout.maxConcurrent`. */
  concurrency?: number;
  /** Attempts that an earlier process made of the same evaluation: they are not made again. */
  earlier?: readonly EvaluationRecord[];
  /** For each question whether an answer stands in the corpus, where that is known. */
  inCorpus?: readonly boolean[];
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
  /** Gets each attempt as soon as it is scored. What it returns is waited for before the evaluation ends. */
  onRecord?: (record: EvaluationRecord) => void | Promise<void>;
}

/** An attempt that is to be made. */
interface Job {
  question: Question;
  index: number;
  attempt: number;
}

/** Attempts under way for each sequence that the policy writes: while some wait for a search, others write. */
const underWayPerSequence = 1.5;

/**
 * Lets the policy attempt every question. A question whose prompt leaves no room to write is left out, and named.
 * @throws the signal's reason when aborted; whatever the environment throws
 */
export async function runEvaluation(
  policy: Policy,
  task: Task,
  questions: readonly Question[],
  options: EvaluationOptions = {},
): Promise<Evaluation> {
  const { temperature = 0, seed = 0, attempts = 1, concurrency = rolloutDefaults.maxConcurrent } = options;
  const { earlier = [], signal, onProgress, onRecord } = options;
  const started = performance.now();
  const jobs = jobsOf(questions, attempts, earlier);
  const total = questions.length * attempts;
  const skipped = new Map<number, { id: string; why: string }>();
  const attemptJob = (job: Job, inner: AbortSignal): Promise<Trajectory> =>
    task
      .environment(job.question, { policy, temperature, seed: seedOf(seed, job), signal: inner })
      .catch((error: unknown) => {
        if (!(error instanceof PromptTooLong)) throw error;
        skipped.set(job.index, { id: job.question.id, why: error.message });
        return notAttempted(job.question);
      });
  const scoreJob = async (job: Job, trajectory: Trajectory, inner: AbortSignal): Promise<EvaluationRecord | null> => {
    if (skipped.has(job.index)) return null;
    // An attempt that was cut short says nothing.
    inner.throwIfAborted();
    const record = await recordOf(task, job, trajectory, { inner, inCorpus: options.inCorpus?.[job.index] });
    await onRecord?.(record);
    return record;
  };
  const made = await attemptAndScore(jobs, attemptJob, scoreJob, {
    concurrency: Math.ceil(concurrency * underWayPerSequence),
    signal,
    onDone: (done) => onProgress?.(total - jobs.length + done, total),
  });
  const records = [...earlier, ...made.flatMap(({ score }) => score ?? [])];
  records.sort((a, b) => a.index - b.index || a.attempt - b.attempt);
  return toEvaluation(records, {
    temperature,
    seconds: (performance.now() - started) / 1000,
    ...(skipped.size > 0 ? { skipped: [...skipped.values()] } : {}),
  });
}

/** Attempts at one question follow each other: they begin with the same tokens, which are computed once. */
function jobsOf(questions: readonly Question[], attempts: number, earlier: readonly EvaluationRecord[]): Job[] {
  const keyOf = ({ index, attempt }: Pick<Job, "index" | "attempt">): string => `${index}/${attempt}`;
  const made = new Set(earlier.map(keyOf));
  return questions
    .flatMap((question, index) => Array.from({ length: attempts }, (_, attempt) => ({ question, index, attempt })))
    .filter((job) => !made.has(keyOf(job)));
}

/** Depends on the seed, the question and the attempt, and on nothing that runs beside it. */
function seedOf(seed: number, { question, attempt }: Job): number {
  const first = [seed, "evaluation", question.source ?? "", question.id] as const;
  return attempt === 0 ? deriveSeed(...first) : deriveSeed(...first, attempt);
}

async function recordOf(
  task: Task,
  job: Job,
  trajectory: Trajectory,
  { inner, inCorpus }: { inner: AbortSignal; inCorpus?: boolean },
): Promise<EvaluationRecord> {
  const { question } = job;
  const [reward, judge] = await Promise.all([
    task.reward(question, trajectory, { signal: inner }),
    task.judge?.(question, trajectory, { signal: inner }),
  ]);
  return {
    ...job,
    trajectory,
    exactMatch: task.exactMatch(question, trajectory),
    ...scoresOf(question, trajectory),
    reward,
    ...(judge === undefined ? {} : { judge }),
    ...(inCorpus === undefined ? {} : { answerInCorpus: inCorpus ? 1 : 0 }),
  };
}

function notAttempted({ id }: Question): Trajectory {
  return {
    questionId: id,
    segments: [],
    searches: [],
    answer: null,
    finishReason: "cancelled",
    texts: [],
    timing: { policyMs: 0, searchMs: 0 },
  };
}
