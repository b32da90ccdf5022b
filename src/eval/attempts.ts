/**
 * @file Several attempts at a question: pass@k, whether one of k is right (Chen et al., arXiv:2107.03374, equation 1: the unbiased estimator), and
 * maj@k, whether the answer is right that most of k give (self-consistency, arXiv:2203.11171).
 */
import { Random } from "../random.js";
import { normaliseAnswer } from "../rewards/normalise.js";
import type { EvaluationRecord } from "./evaluation.js";
import { bootstrapMean, mean, type Estimate } from "./intervals.js";

/** A measure of k attempts, averaged over questions. */
export interface AtK {
  k: number;
  value: Estimate;
}

/** 1, 2, 4, … and `attempts` itself. */
export function countsUpTo(attempts: number): number[] {
  const counts: number[] = [];
  for (let k = 1; k < attempts; k *= 2) counts.push(k);
  return [...counts, attempts];
}

/** pass@k and maj@k for every k of `countsUpTo` that all questions have attempts for. */
export function severalAttempts(questions: readonly (readonly EvaluationRecord[])[]): { passAt: AtK[]; majAt: AtK[] } {
  const counts = countsUpTo(Math.min(...questions.map((attempts) => attempts.length)));
  const at = (of: (attempts: readonly EvaluationRecord[], k: number) => number): AtK[] =>
    counts.map((k) => ({ k, value: bootstrapMean(questions.map((attempts) => of(attempts, k))) }));
  return {
    passAt: at((attempts, k) => passAtK(attempts.length, attempts.filter(isRight).length, k)),
    majAt: at(majorityAtK),
  };
}

/** The chance that one of k attempts is right that are drawn from n, of which c are: 1 − C(n − c, k) ÷ C(n, k). */
export function passAtK(n: number, c: number, k: number): number {
  if (n - c < k) return 1;
  let allWrong = 1;
  for (let i = n - c + 1; i <= n; i++) allWrong *= 1 - k / i;
  return 1 - allWrong;
}

/** Draws of k attempts that are looked at where there are more. */
const mostDraws = 200;

/** The mean over draws of k attempts, all or so many, of whether the majority is right. */
function majorityAtK(attempts: readonly EvaluationRecord[], k: number): number {
  const votes = attempts.map((record) => ({ answer: voteOf(record), right: isRight(record) ? 1 : 0 }));
  if (k === votes.length) return majority(votes);
  if (k === 1) return mean(votes.map(({ answer, right }) => (answer === null ? 0 : right)));
  const random = new Random(0, "majority", votes.length, k);
  return mean(Array.from({ length: mostDraws }, () => majority(random.shuffle(votes).slice(0, k))));
}

interface Vote {
  answer: string | null;
  right: number;
}

/** Whether the answer with the most votes is right; of several that share the first place, their share that is. An attempt without an answer does not vote. */
function majority(votes: readonly Vote[]): number {
  const groups = new Map<string, Vote[]>();
  for (const vote of votes)
    if (vote.answer !== null) groups.set(vote.answer, [...(groups.get(vote.answer) ?? []), vote]);
  const most = Math.max(0, ...[...groups.values()].map((group) => group.length));
  const first = [...groups.values()].filter((group) => group.length === most);
  return mean(first.map((group) => mean(group.map(({ right }) => right))));
}

function voteOf({ trajectory: { answer } }: EvaluationRecord): string | null {
  const normalised = answer === null ? "" : normaliseAnswer(answer);
  return normalised === "" ? null : normalised;
}

function isRight({ exactMatch }: EvaluationRecord): boolean {
  return exactMatch === 1;
}
