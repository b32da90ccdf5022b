/** @file What can be measured of an attempt, in one table: for summaries, for comparisons, and for the rows of tables. */
import type { EvaluationRecord } from "./evaluation.js";
import { mean } from "./intervals.js";

export interface Metric {
  /** As tables name it. */
  label: string;
  /** Of one attempt; undefined where it was not measured. */
  of: (record: EvaluationRecord) => number | undefined;
  /** Whether it is 0 or 1, so that its mean is a share. */
  isShare: boolean;
}

export const metrics = {
  exactMatch: { label: "exact match", of: (record) => record.exactMatch, isShare: true },
  squadMatch: { label: "em/squad", of: (record) => record.squadMatch, isShare: true },
  f1: { label: "F1", of: (record) => record.f1, isShare: false },
  coverMatch: { label: "cover match", of: (record) => record.coverMatch, isShare: true },
  judge: { label: "judge", of: (record) => record.judge, isShare: false },
  reward: { label: "reward", of: (record) => record.reward, isShare: false },
  answered: {
    label: "answered",
    of: ({ trajectory }) => (trajectory.finishReason === "answered" ? 1 : 0),
    isShare: true,
  },
  answerShown: { label: "answer in a passage shown", of: (record) => record.answerShown, isShare: true },
  answerInCorpus: { label: "answer in the corpus", of: (record) => record.answerInCorpus, isShare: true },
  searchesPerQuestion: {
    label: "searches per question",
    of: ({ trajectory }) => trajectory.searches.length,
    isShare: false,
  },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;

/** The attempts at each question of one evaluation, in the order in which the questions come. */
export function byQuestion(records: readonly EvaluationRecord[]): EvaluationRecord[][] {
  const groups = new Map<number, EvaluationRecord[]>();
  for (const record of records) {
    const group = groups.get(record.index);
    if (group === undefined) groups.set(record.index, [record]);
    else group.push(record);
  }
  return [...groups.values()];
}

/** What names a question across evaluations: dataset and split, and its id there. */
export function questionKey({ source = "", id }: Pick<EvaluationRecord["question"], "source" | "id">): string {
  return JSON.stringify([source, id]);
}

/** A metric of each question of one evaluation, averaged over the attempts at it, by `questionKey`; without the questions of which it was not measured. */
export function perQuestion(records: readonly EvaluationRecord[], name: MetricName): Map<string, number> {
  const metric: Metric = metrics[name];
  const entries = byQuestion(records).flatMap((attempts): [string, number][] => {
    const values = attempts.flatMap((record) => metric.of(record) ?? []);
    return values.length === 0 ? [] : [[questionKey(attempts[0].question), mean(values)]];
  });
  return new Map(entries);
}
