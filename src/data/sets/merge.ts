/** @file Several sets as one: a question that comes twice stands there once, and what is tested on is not trained on, where that is asked for. */
import { UserError } from "../../errors.js";
import { normaliseAnswer } from "../../rewards/normalise.js";
import type { Question } from "../../types.js";
import { questionParts, type QuestionPart } from "../questions.js";
import type { Part } from "./folder.js";

export type Parts = Partial<Record<QuestionPart, Part>>;

export interface Merged {
  parts: Parts;
  /** Questions that stood in several sets under the same identity. */
  repeated: number;
  /** Training questions that were left out since a test or validation question says the same. */
  dropped: number;
}

/**
 * The parts of several sets, one after another.
 * @param withoutTested leave out training questions that are repeated in the other parts
 * @throws UserError for two different questions of the same identity
 */
export function mergeParts(sets: readonly Parts[], { withoutTested = false } = {}): Merged {
  const parts: Parts = {};
  let repeated = 0;
  for (const part of questionParts) {
    const own = sets.flatMap((set) => set[part] ?? []);
    if (own.length === 0) continue;
    const questions = distinct(own.flatMap((one) => one.questions));
    repeated += own.reduce((sum, one) => sum + one.questions.length, 0) - questions.length;
    parts[part] = { questions, origins: own.flatMap(({ origins }) => origins) };
  }
  const { train } = parts;
  if (!withoutTested || train === undefined) return { parts, repeated, dropped: 0 };
  const tested = new Set(
    [parts.validation, parts.test].flatMap(
      (part) => part?.questions.map(({ question }) => normaliseAnswer(question)) ?? [],
    ),
  );
  const kept = train.questions.filter(({ question }) => !tested.has(normaliseAnswer(question)));
  return {
    parts: { ...parts, train: { ...train, questions: kept } },
    repeated,
    dropped: train.questions.length - kept.length,
  };
}

function distinct(questions: readonly Question[]): Question[] {
  const byId = new Map<string, Question>();
  for (const question of questions) {
    const earlier = byId.get(question.id);
    if (earlier === undefined) byId.set(question.id, question);
    // Search-R1 puts a question mark behind the questions that have none.
    else if (normaliseAnswer(earlier.question) !== normaliseAnswer(question.question))
      throw new UserError(
        `Two sets have different questions "${question.id}": "${earlier.question}" and "${question.question}". Rename one of their files or folders: its name is part of the identity.`,
      );
  }
  return [...byId.values()];
}
