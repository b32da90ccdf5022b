/**
 * @file Rejection sampling of transcripts: a policy attempts questions through the one rollout, and what scores is kept. Rounds follow each other;
 * a question that has its transcripts is not attempted again.
 */
import type { Policy } from "../../contracts/policy.js";
import type { Task } from "../../eval/run-evaluation.js";
import type { Protocol } from "../../prompts/protocol.js";
import { deriveSeed } from "../../random.js";
import { attemptAndScore } from "../../rollout/environment.js";
import type { Question } from "../../types.js";
import type { AttemptsFile } from "./attempts-file.js";
import { judgeAttempt, outcomes, type CollectedAttempt, type Outcome } from "./outcome.js";

export interface CollectOptions {
  questions: readonly Question[];
  task: Pick<Task, "environment" | "reward">;
  protocol: Protocol;
  /** The policy of one attempt. May be the same for all. */
  policyFor: (question: Question, attempt: number) => Policy;
  /** Most attempts at a question. */
  attempts: number;
  /** Transcripts after which a question is done. */
  perQuestion: number;
  /** From this reward on an attempt has scored. */
  minReward: number;
  /** Of the first attempt; later ones are sampled at 1 where it is 0, since they would be the same. */
  temperature: number;
  seed: number;
  /** Attempts under way at once, and between two writes. */
  concurrency: number;
  signal?: AbortSignal;
  /** @param total the most attempts that there can be */
  onProgress?: (done: number, total: number, scored: number) => void;
}

/**
 * All attempts, those on file and those made now, by rounds and in the order of the questions.
 * @throws the signal's reason; what was attempted until then is on file
 */
export async function collectAttempts(file: AttemptsFile, options: CollectOptions): Promise<CollectedAttempt[]> {
  const { questions, attempts, perQuestion, concurrency, signal, onProgress } = options;
  const known = new Map(file.earlier.map((one) => [keyOf(one.question, one.attempt), one]));
  const scored = new Map<string, number>();
  const all: CollectedAttempt[] = [];
  const take = (made: readonly CollectedAttempt[]): void => {
    for (const one of made) {
      all.push(one);
      if (one.outcome === "scored") scored.set(one.question, (scored.get(one.question) ?? 0) + 1);
    }
  };
  const tell = (done: number, open: number, round: number): void =>
    onProgress?.(
      done,
      done + open * (attempts - round),
      [...scored.values()].reduce((sum, count) => sum + count, 0),
    );
  for (let attempt = 0; attempt < attempts; attempt++) {
    const open = questions.filter(({ id }) => (scored.get(id) ?? 0) < perQuestion);
    for (let from = 0; from < open.length; from += concurrency) {
      signal?.throwIfAborted();
      const part = open.slice(from, from + concurrency);
      const missing = part.filter(({ id }) => !known.has(keyOf(id, attempt)));
      const made = await attemptAll(missing, attempt, options);
      await file.add(made);
      for (const one of made) known.set(keyOf(one.question, attempt), one);
      take(part.flatMap(({ id }) => known.get(keyOf(id, attempt)) ?? []));
      tell(all.length, open.length - from - part.length, attempt);
    }
  }
  return all;
}

const keyOf = (question: string, attempt: number): string => JSON.stringify([question, attempt]);

async function attemptAll(
  questions: readonly Question[],
  attempt: number,
  options: CollectOptions,
): Promise<CollectedAttempt[]> {
  const { task, policyFor, temperature, seed, minReward, protocol, concurrency, signal } = options;
  const made = await attemptAndScore(
    questions,
    (question, inner) =>
      task.environment(question, {
        policy: policyFor(question, attempt),
        temperature: attempt === 0 ? temperature : temperature || 1,
        seed: deriveSeed(seed, "collect", question.source ?? "", question.id, attempt),
        signal: inner,
      }),
    (question, trajectory, inner) => task.reward(question, trajectory, { signal: inner }),
    { concurrency, signal },
  );
  return made.map(({ trajectory, score: reward }, place) =>
    judgeAttempt(questions[place], trajectory, { attempt, reward, minReward, protocol }),
  );
}

/** How often each outcome came, in the order in which outcomes are told; those that never came are left out. */
export function countOutcomes(attempts: readonly CollectedAttempt[]): [Outcome, number][] {
  return (Object.keys(outcomes) as Outcome[])
    .map((outcome): [Outcome, number] => [outcome, attempts.filter((one) => one.outcome === outcome).length])
    .filter(([, count]) => count > 0);
}
