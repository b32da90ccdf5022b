/** @file Which of the attempts that scored become transcripts: each only once, so many per question, as many of each number of searches as there are. */
import type { Question } from "../../types.js";
import type { CollectedAttempt } from "./outcome.js";
import { Random } from "../../random.js";
import { plainLine } from "../shapes.js";

interface Choice {
  kept: CollectedAttempt[];
  /** Scored, and left out: the same question asked and answered in the same words, or more of a question than are wanted. */
  repeated: number;
  /** Scored, and left out because `limit` was reached. */
  over: number;
}

interface ChooseOptions {
  perQuestion: number;
  /** Most transcripts in all; the rarest numbers of searches come first. */
  limit: number;
  /** Draws those that are kept of a number of searches that has too many. */
  seed: number;
}

/** @param attempts in the order of their questions */
export function chooseAttempts(
  attempts: readonly CollectedAttempt[],
  questions: ReadonlyMap<string, Question>,
  { perQuestion, limit, seed }: ChooseOptions,
): Choice {
  const scored = attempts.filter(({ outcome }) => outcome === "scored");
  const seen = new Set<string>();
  const taken = new Map<string, number>();
  const distinct = scored.filter((attempt) => {
    const asked = plainLine(questions.get(attempt.question)?.question ?? "").toLowerCase();
    const key = JSON.stringify([asked, attempt.searches, attempt.answer?.toLowerCase()]);
    const count = taken.get(attempt.question) ?? 0;
    if (seen.has(key) || count >= perQuestion) return false;
    seen.add(key);
    taken.set(attempt.question, count + 1);
    return true;
  });
  const kept = new Set(balanced(distinct, limit, seed));
  return {
    kept: distinct.filter((attempt) => kept.has(attempt)),
    repeated: scored.length - distinct.length,
    over: distinct.length - kept.size,
  };
}

/** At most `limit`, with equal parts of each number of searches as far as there are so many; the rest goes to those that have more. */
function balanced(attempts: readonly CollectedAttempt[], limit: number, seed: number): CollectedAttempt[] {
  const numbers = [...new Set(attempts.map(({ searches }) => searches))];
  const groups = numbers.map((number) => attempts.filter(({ searches }) => searches === number));
  let left = limit;
  return groups
    .sort((a, b) => a.length - b.length)
    .flatMap((group, place) => {
      const share = Math.min(group.length, Math.ceil(left / (groups.length - place)));
      left -= share;
      return new Random(seed, "balanced", group[0].searches).shuffle(group).slice(0, share);
    });
}
