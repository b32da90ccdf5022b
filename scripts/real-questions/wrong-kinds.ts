/** @file Wrong answers by kind: each names what would have to be better. */
import type { EvaluationRecord } from "../../src/eval/evaluation.js";
import { ours } from "../../src/rewards/answers.js";

/** In the order in which they are tried: an attempt is of the first kind that fits. */
const kinds = {
  "no answer": ({ trajectory }) => trajectory.answer === null,
  "no search": ({ trajectory }) => trajectory.searches.length === 0,
  "no passage that was shown holds an answer": ({ answerShown }) => answerShown === 0,
  "a right answer with other words around it": ({ coverMatch }) => coverMatch === 1,
  "a part of a right answer, or words in common": ({ f1 }) => f1 > 0,
  "another span of a passage that was shown": (record) => stands(record),
  "words that stand in no passage": () => true,
} as const satisfies Record<string, (record: EvaluationRecord) => boolean>;

export type WrongKind = keyof typeof kinds;

/** How many wrong attempts are of each kind. */
export function wrongKinds(records: readonly EvaluationRecord[]): Record<WrongKind, number> {
  const names = Object.keys(kinds) as WrongKind[];
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<WrongKind, number>;
  for (const record of records) {
    if (record.exactMatch === 1) continue;
    counts[names.find((name) => kinds[name](record)) as WrongKind] += 1;
  }
  return counts;
}

function stands({ trajectory: { answer, searches } }: EvaluationRecord): boolean {
  const holds = ours.holdsAnswer([answer ?? ""]);
  return searches.some(({ passages }) => passages.some(holds));
}
