/**
 * @file One record as a question, in any of the layouts that the field keeps questions in:
 *
 * - ours: `{id, question, answers, source?, hops?, kind?, evidence?}`
 * - FlashRAG's: `{id, question, golden_answers, metadata}`
 * - Search-R1's, a row of Parquet: `{data_source, prompt, ability, reward_model: {ground_truth: {target}}, extra_info: {split, index}}`, beside FlashRAG's columns or without them
 */
import { UserError } from "../errors.js";
import { kindOf } from "../files/lines.js";
import type { Evidence, Question } from "../types.js";

export const questionShape =
  'A line looks like {"id": "1", "question": "What is the capital of Peru?", "answers": ["Lima"]}.';

/** What is wrong with a record. */
export const defects = {
  unreadable: "cannot be read: not JSON, or not UTF-8",
  "no-question": "has no question",
  "no-answer": "has no answer",
  "no-id": "has no id",
  "wrong-field": "has a field that is not what it should be",
  repeated: "repeats the id of another",
} as const;
export type Defect = keyof typeof defects;

/** A record that is no question. The message names its place and the field. */
export class DefectError extends UserError {
  readonly defect: Defect;

  constructor(defect: Defect, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DefectError";
    this.defect = defect;
  }
}

/** A question whose identity may be missing yet. */
export type ReadQuestion = Omit<Question, "id"> & Partial<Pick<Question, "id">>;

/** A record as it was read. */
export interface ReadRecord {
  question: ReadQuestion;
  /** The record says of itself of which set, split and place in it the question is, as in Search-R1's layout; `id` and `source` say it, too. */
  isIdentified: boolean;
}

/** What makes a question the same one everywhere. */
export interface Identity {
  dataset: string;
  split: string;
  /** Its row, from 0, or a name that is unique in the split. */
  index: number | string;
}

/** `nq-test`, which is a question's `source`. */
export function sourceOf({ dataset, split }: Pick<Identity, "dataset" | "split">): string {
  return split === "" ? dataset : `${dataset}-${split}`;
}

/** `nq-test-17`, which is a question's `id`. */
export function idOf(identity: Identity): string {
  return `${sourceOf(identity)}-${identity.index}`;
}

/**
 * @param place file and line or row, for messages
 * @throws DefectError naming place and field
 */
export function parseQuestionRecord(place: string, record: Readonly<Record<string, unknown>>): ReadRecord {
  const answers = answersOf(place, record);
  const text = questionOf(record);
  if (text === undefined)
    throw new DefectError("no-question", `${place}: field "question" must be text that is not empty. ${questionShape}`);
  const { hops, kind } = record;
  const evidence = parseEvidence(place, record.evidence);
  if (hops !== undefined && hops !== null && !(Number.isSafeInteger(hops) && (hops as number) > 0))
    throw new DefectError(
      "wrong-field",
      `${place}: field "hops" must be a whole number of at least 1, or be left out.`,
    );
  const identity = statedIdentity(record);
  const names = identity === undefined ? namesIn(place, record) : { id: idOf(identity), source: sourceOf(identity) };
  const question: ReadQuestion = {
    ...names,
    question: text,
    answers,
    ...(typeof hops === "number" ? { hops } : {}),
    ...(isText(kind) ? { kind } : {}),
    ...(evidence === undefined ? {} : { evidence }),
  };
  return { question, isIdentified: identity !== undefined };
}

/** The fields of Search-R1's layout beside FlashRAG's; others are not read. */
export const recordFields = [
  "id",
  "question",
  "answers",
  "golden_answers",
  "source",
  "hops",
  "kind",
  "evidence",
  "data_source",
  "reward_model",
  "extra_info",
] as const;

/** What Search-R1's layout says of itself. */
function statedIdentity({ data_source: dataset, extra_info }: Readonly<Record<string, unknown>>): Identity | undefined {
  const { split, index } = asRecord(extra_info);
  return isText(dataset) && isText(split) && isWhole(index) ? { dataset, split, index: Number(index) } : undefined;
}

function namesIn(
  place: string,
  { id, source }: Readonly<Record<string, unknown>>,
): Pick<ReadQuestion, "id" | "source"> {
  if (id !== undefined && id !== null && !isText(id) && !isWhole(id))
    throw new DefectError(
      "no-id",
      `${place}: field "id" must be text or a whole number, got ${kindOf(id)}. ${questionShape}`,
    );
  return {
    ...(id === undefined || id === null ? {} : { id: String(id) }),
    ...(isText(source) ? { source } : {}),
  };
}

/** Right answers, under the name that the layout has for them. */
function answersOf(place: string, record: Readonly<Record<string, unknown>>): string[] {
  const target = asRecord(asRecord(record.reward_model).ground_truth).target;
  const [field, given] = (
    [
      ["answers", record.answers],
      ["golden_answers", record.golden_answers],
      ["reward_model.ground_truth.target", typeof target === "string" ? [target] : target],
    ] as const
  ).find(([, value]) => value !== undefined && value !== null) ?? ["answers", undefined];
  if (Array.isArray(given) && given.length > 0 && given.every((answer) => isText(answer))) return given as string[];
  throw new DefectError(
    "no-answer",
    `${place}: field "${field}" must be a list of at least one text that is not empty. ${questionShape}`,
  );
}

/** What stands behind this in Search-R1's prompts. */
const questionMark = "Question: ";

function questionOf({ question, prompt }: Readonly<Record<string, unknown>>): string | undefined {
  if (isText(question)) return question;
  if (question !== undefined && question !== null) return undefined;
  const messages = Array.isArray(prompt) ? prompt.map(asRecord) : [];
  const content = messages.findLast(({ role }) => role === "user")?.content;
  if (!isText(content)) return undefined;
  const at = content.lastIndexOf(questionMark);
  return at < 0 ? content.trim() : content.slice(at + questionMark.length).trim() || undefined;
}

function parseEvidence(place: string, value: unknown): Evidence[] | undefined {
  if (value === undefined || value === null) return undefined;
  const isPassage = (one: unknown): one is Evidence =>
    typeof one === "object" && one !== null && "id" in one && isText(one.id);
  if (!Array.isArray(value) || !value.every(isPassage))
    throw new DefectError(
      "wrong-field",
      `${place}: field "evidence" must be a list of passages like {"id": "7"}, or be left out.`,
    );
  return value.map(({ id, url }) => (isText(url) ? { id, url } : { id }));
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}

/** Parquet has whole numbers of 64 bits. */
function isWhole(value: unknown): value is number | bigint {
  return typeof value === "bigint" || Number.isSafeInteger(value);
}
