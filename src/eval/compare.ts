/**
 * @file Evaluations of the same questions, compared question by question. What makes a question hard or easy cancels out in a pair, so that a paired
 * interval is narrower than the two intervals of the columns would say.
 */
import { UserError } from "../errors.js";
import { ours } from "../rewards/answers.js";
import type { Question } from "../types.js";
import type { EvaluationRecord } from "./evaluation.js";
import { headDifferences, type EvaluationHead } from "./folder.js";
import { bootstrapMean, wilson, type Estimate } from "./intervals.js";
import { byQuestion, metrics, perQuestion, questionKey, type MetricName } from "./metrics.js";

/** An evaluation that is compared. */
export interface Side {
  /** Names it in tables and messages. */
  name: string;
  records: readonly EvaluationRecord[];
  /** Absent where only the attempts are on file. */
  head?: EvaluationHead;
  /** False where attempts are missing that the same command would still make. */
  isFinished?: boolean;
}

/** A further side less the first, in pairs, with the paired bootstrap's 95 % interval. */
export interface PairedDifference extends Estimate {
  /** Questions with a higher score than on the first side, and with a lower one. */
  gained: number;
  lost: number;
  /**
   * Of 0/1 scores: the exact two-sided sign test of gained against lost (McNemar's), the probability of so uneven a division if both sides were
   * equally good.
   */
  signTest?: number;
}

/** One measure over the questions that all sides have, or some of them. */
export interface ComparedMetric {
  metric: MetricName;
  /** Questions. */
  n: number;
  /** Of each side, in their order. */
  values: Estimate[];
  /** Of each side but the first. */
  differences: PairedDifference[];
}

/** The same for the questions of one dataset, or of so many hops. */
export interface ComparedGroup extends ComparedMetric {
  group: string;
}

/** A question on which a side differs from the first. */
export interface Flip {
  question: Question;
  /** Higher than on the first side. */
  isGained: boolean;
  /** Mean score of the attempts: of the first side, of the other. */
  scores: [number, number];
  /** An attempt of each; of several attempts the one that shows the difference best. */
  attempts: [EvaluationRecord, EvaluationRecord];
}

/** What a side makes of the questions that the first side answers in one attempt at least, and of the others. */
export interface Split {
  answered: Estimate & { n: number };
  others: Estimate & { n: number };
}

/** A side against the first. */
export interface ComparedPair {
  name: string;
  /** The largest differences first, then in the order of the questions. */
  flips: Flip[];
  /** Of measures that say whether an answer is right. */
  split?: Split;
}

export interface ComparisonOfEvaluations {
  names: string[];
  /** Questions compared. */
  n: number;
  /** The measure that flips, groups and splits are about. */
  metric: MetricName;
  metrics: ComparedMetric[];
  groups: ComparedGroup[];
  pairs: ComparedPair[];
  /** Settings that are not the same on all sides. */
  settings: DifferingSetting[];
  /** Sentences about what should be known before the numbers are believed. */
  notes: string[];
}

export interface DifferingSetting {
  name: string;
  /** In the order of the sides that have a head. */
  values: unknown[];
}

export interface CompareOptions {
  /** Default: exact match. */
  metric?: MetricName;
  /** Compare the questions that all sides have, where they have different ones. Default: refuse. */
  common?: boolean;
}

const ofRightAnswers: readonly MetricName[] = ["exactMatch", "squadMatch", "coverMatch", "judge"];
/** Resamples of a paired bootstrap, as for the gain of a run. */
const samples = 10_000;
/** Groups of more kinds are no help to a reader. */
const mostGroups = 12;

/**
 * Compares every further side with the first.
 * @throws UserError for fewer than two sides, for different questions (without `common`), for none in common, and for a measure that a side lacks
 */
export function compareEvaluations(sides: readonly Side[], options: CompareOptions = {}): ComparisonOfEvaluations {
  const { metric = "exactMatch", common = false } = options;
  if (sides.length < 2) throw new UserError("One evaluation cannot be compared. Name two or more.");
  const { questions, notes } = matchQuestions(sides, common);
  const keys = [...questions.keys()];
  const settings = differingSettings(sides.flatMap(({ head }) => head ?? []));
  const names = (Object.keys(metrics) as MetricName[]).filter((name) => isComparable(name, settings));
  notes.push(...warningsOf(names, settings));
  const scores = new Map(names.map((name) => [name, sides.map(({ records }) => perQuestion(records, name))]));
  const compared = names.flatMap((name) => compareMetric(name, scores.get(name) ?? [], keys) ?? []);
  const chosen = scores.get(metric);
  if (chosen === undefined || !compared.some((one) => one.metric === metric)) throw notMeasured(metric, compared);
  return {
    ...{ names: sides.map(({ name }) => name), n: keys.length, metric, metrics: compared, settings, notes },
    groups: groupsOf(questions).flatMap(({ group, members }) => {
      const found = compareMetric(metric, chosen, members);
      return found === undefined ? [] : [{ group, ...found }];
    }),
    pairs: sides.slice(1).map(({ name, records }, index) => ({
      name,
      flips: flipsOf(questions, [sides[0].records, records], [chosen[0], chosen[index + 1]], metric),
      split: ofRightAnswers.includes(metric) ? splitOf(keys, chosen[0], chosen[index + 1]) : undefined,
    })),
  };
}

/** What each measure depends on beside the attempt. */
const settingsOfMetrics: Partial<Record<MetricName, RegExp>> = {
  reward: /^(reward|faithful)\./,
  judge: /^reward\.judge/,
};

function isComparable(metric: MetricName, settings: readonly DifferingSetting[]): boolean {
  return !settings.some(({ name }) => settingsOfMetrics[metric]?.test(name));
}

function warningsOf(names: readonly MetricName[], settings: readonly DifferingSetting[]): string[] {
  const left = (Object.keys(settingsOfMetrics) as MetricName[]).filter((name) => !names.includes(name));
  return [
    ...left.map((name) => `The ${metrics[name].label} is left out: it was computed by different settings.`),
    ...(settings.some(({ name }) => name === "faithful.textScoring")
      ? ["Exact match was compared by different rules (faithful.textScoring): look at em/squad."]
      : []),
  ];
}

function notMeasured(metric: MetricName, compared: readonly ComparedMetric[]): UserError {
  const known = compared.map((one) => one.metric).join(", ");
  return new UserError(
    `Not every evaluation has a comparable ${metrics[metric].label}. Compare by one of ${known} (--metric).`,
  );
}

/** The questions that are compared, in the order of the first side. */
function matchQuestions(
  sides: readonly Side[],
  common: boolean,
): { questions: Map<string, Question>; notes: string[] } {
  const all = sides.map(questionsOf);
  const [first] = all;
  const isEverywhere = (key: string, question: Question): boolean =>
    all.every((others) => {
      const other = others.get(key);
      return other !== undefined && isSame(question, other);
    });
  const questions = new Map([...first].filter(([key, question]) => isEverywhere(key, question)));
  const notes = sides.flatMap(({ name, isFinished }) =>
    isFinished === false ? [`${name} is not finished. The command that began it goes on with it.`] : [],
  );
  const isEqual = all.every(({ size }) => size === questions.size);
  if (!isEqual && (!common || questions.size === 0)) throw differentQuestions(sides, all, questions, notes);
  if (questions.size === 0) throw new UserError("These evaluations hold no attempt. Evaluate some questions first.");
  if (!isEqual) {
    const left = sides.map(({ name }, index) => `${all[index].size - questions.size} of ${name}`);
    notes.push(`Compared is what all have. Left out: ${left.join(", ")}.`);
  }
  return { questions, notes };
}

function questionsOf({ name, records }: Side): Map<string, Question> {
  const questions = new Map<string, Question>();
  const attempts = new Set<string>();
  for (const { question, attempt } of records) {
    const key = questionKey(question);
    const one = `${attempt} ${key}`;
    if (attempts.has(one))
      throw new UserError(
        `${name} has two questions called "${questionName(question)}", or is two evaluations in one file. Give every question an id of its own and evaluate once per file.`,
      );
    attempts.add(one);
    questions.set(key, question);
  }
  return questions;
}

/** Two evaluations of a set that has changed in between may know the same question by other answers. */
function isSame(one: Question, other: Question): boolean {
  return one.question === other.question && JSON.stringify(one.answers) === JSON.stringify(other.answers);
}

function differentQuestions(
  sides: readonly Side[],
  all: readonly ReadonlyMap<string, Question>[],
  common: ReadonlyMap<string, Question>,
  notes: readonly string[],
): UserError {
  const counts = sides.map(({ name }, index) => `${name} has ${all[index].size}`).join(", ");
  const place = all.findIndex((questions) => questions.size > common.size);
  const [key, question] = [...all[place]].find(([key]) => !common.has(key)) as [string, Question];
  const isChanged = all.some((questions) => !isSame(question, questions.get(key) ?? question));
  const example = isChanged
    ? `"${questionName(question)}" has another wording or other answers in another evaluation: the set has changed between them.`
    : `For example, not all have "${questionName(question)}" of ${sides[place].name}.`;
  const advice =
    common.size === 0
      ? "Evaluate the same questions, then compare."
      : `Evaluate the same questions, or compare the ${common.size} that all have with --common.`;
  return new UserError(
    [
      "The evaluations are of different questions:",
      `${counts}, all have ${common.size}.`,
      example,
      ...notes,
      advice,
    ].join(" "),
  );
}

/** A question as messages and lists name it: dataset and split, where they are known, and id. */
export function questionName({ source, id }: Question): string {
  return source === undefined ? id : `${source} ${id}`;
}

/** Undefined where a side has not measured it, or all of them nothing. */
function compareMetric(
  metric: MetricName,
  sides: readonly ReadonlyMap<string, number>[],
  keys: readonly string[],
): ComparedMetric | undefined {
  const measured = keys.filter((key) => sides.every((scores) => scores.has(key)));
  if (measured.length === 0) return undefined;
  const values_S = sides.map((scores) => measured.map((key) => scores.get(key) as number));
  return {
    ...{ metric, n: measured.length },
    values: values_S.map((values) => estimate(values, metrics[metric].isShare)),
    differences: values_S.slice(1).map((values) => pairedDifferenceOf(values_S[0], values)),
  };
}

/** A mean over questions: Wilson's interval for shares of single attempts, else the bootstrap's. */
function estimate(values: readonly number[], isShare: boolean): Estimate {
  return isShare && values.every(isZeroOrOne)
    ? wilson(values.filter((value) => value === 1).length, values.length)
    : bootstrapMean(values);
}

/**
 * The mean difference of two scores of the same questions, with the paired bootstrap's 95 % interval: questions are drawn with replacement, each with
 * both of its scores.
 * @param second in the order of `first`
 */
export function pairedDifferenceOf(first: readonly number[], second: readonly number[]): PairedDifference {
  const differences = second.map((value, index) => value - first[index]);
  const gained = differences.filter((difference) => difference > 0).length;
  const lost = differences.filter((difference) => difference < 0).length;
  const areShares = first.every(isZeroOrOne) && second.every(isZeroOrOne);
  return {
    ...bootstrapMean(differences, { samples }),
    ...{ gained, lost },
    ...(areShares ? { signTest: signTest(gained, lost) } : {}),
  };
}

function isZeroOrOne(value: number): boolean {
  return value === 0 || value === 1;
}

/** The two-sided probability that fair coins fall at least so unevenly: 2·P(X ≤ min) for X ~ Binomial(n, 1/2), at most 1 (McNemar's exact test). */
export function signTest(gained: number, lost: number): number {
  const n = gained + lost;
  let logTerm = -n * Math.LN2;
  let sum = Math.exp(logTerm);
  for (let successes = 0; successes < Math.min(gained, lost); successes++) {
    logTerm += Math.log((n - successes) / (successes + 1));
    sum += Math.exp(logTerm);
  }
  return Math.min(1, 2 * sum);
}

/** By dataset, and by hops, where there are several. */
function groupsOf(questions: ReadonlyMap<string, Question>): { group: string; members: string[] }[] {
  const by = (name: (question: Question) => string | undefined): { group: string; members: string[] }[] => {
    const groups = new Map<string, string[]>();
    for (const [key, question] of questions) {
      const group = name(question);
      if (group === undefined) continue;
      const members = groups.get(group);
      if (members === undefined) groups.set(group, [key]);
      else members.push(key);
    }
    const isTold = groups.size > 1 && groups.size <= mostGroups;
    return isTold ? [...groups].map(([group, members]) => ({ group, members })) : [];
  };
  const hopsOf = ({ hops }: Question): string | undefined =>
    hops === undefined ? undefined : `${hops} ${hops === 1 ? "hop" : "hops"}`;
  return [...by(({ source }) => source), ...by(hopsOf).sort((a, b) => (a.group < b.group ? -1 : 1))];
}

function flipsOf(
  questions: ReadonlyMap<string, Question>,
  records: readonly (readonly EvaluationRecord[])[],
  [first, second]: readonly ReadonlyMap<string, number>[],
  metric: MetricName,
): Flip[] {
  const attempts = records.map(attemptsByKey);
  const scoreOf = (record: EvaluationRecord): number => metrics[metric].of(record) ?? 0;
  const flips = [...questions].flatMap(([key, question]): Flip[] => {
    const scores: Flip["scores"] = [first.get(key) ?? 0, second.get(key) ?? 0];
    if (scores[0] === scores[1]) return [];
    const isGained = scores[1] > scores[0];
    const extreme = (side: number, isHighest: boolean): EvaluationRecord =>
      (attempts[side].get(key) as EvaluationRecord[]).reduce((best, record) =>
        (isHighest ? scoreOf(record) > scoreOf(best) : scoreOf(record) < scoreOf(best)) ? record : best,
      );
    return [{ question, isGained, scores, attempts: [extreme(0, !isGained), extreme(1, isGained)] }];
  });
  const size = ({ scores }: Flip): number => Math.abs(scores[1] - scores[0]);
  return flips.sort((a, b) => size(b) - size(a));
}

function attemptsByKey(records: readonly EvaluationRecord[]): Map<string, EvaluationRecord[]> {
  return new Map(byQuestion(records).map((attempts) => [questionKey(attempts[0].question), attempts]));
}

/** For each search of an attempt, whether a right answer stood in a passage that it showed. */
export function answerShownBySearch({ question, trajectory }: EvaluationRecord): boolean[] {
  const holds = ours.holdsAnswer(question.answers);
  return trajectory.searches.map(({ passages }) => passages.some(holds));
}

function splitOf(
  keys: readonly string[],
  first: ReadonlyMap<string, number>,
  second: ReadonlyMap<string, number>,
): Split {
  const over = (members: readonly string[]): Estimate & { n: number } => {
    const values = members.map((key) => second.get(key) ?? 0);
    return { ...estimate(values, true), n: values.length };
  };
  const isAnswered = (key: string): boolean => (first.get(key) ?? 0) > 0;
  return { answered: over(keys.filter(isAnswered)), others: over(keys.filter((key) => !isAnswered(key))) };
}

/** Settings that change what is attempted and are not the same in all evaluations; nothing of fewer than two. */
export function differingSettings(heads: readonly EvaluationHead[]): DifferingSetting[] {
  const [first, ...others] = heads;
  const names = new Set(others.flatMap((other) => headDifferences(first, other)));
  // A setting may say again what the head says, and what is asked is compared question by question.
  for (const name of ["questions", "weights", "model.folder", "rollout.method", "search.engine"]) names.delete(name);
  return [...names].map((name) => ({ name, values: heads.map((head) => settingOf(head, name)) }));
}

function settingOf(head: EvaluationHead, name: string): unknown {
  const [group, key] = name.split(".");
  return key === undefined ? head[name as keyof EvaluationHead] : head.settings[group]?.[key];
}
