/** @file The questions of a set, each with the identity that it has everywhere: dataset, split and place in it. */
import { UserError } from "../../errors.js";
import { Random } from "../../random.js";
import type { Question } from "../../types.js";
import { DefectError, sourceOf, type Defect, type ReadRecord } from "../question-record.js";
import { readQuestionRows, type QuestionRow, type RowOptions } from "../question-rows.js";
import { questionParts, type QuestionPart } from "../questions.js";
import type { OpenSet } from "./open-set.js";
import type { Split } from "./splits.js";

/** Records that were left out, by what is wrong with them. */
export class Skipped {
  readonly counts = new Map<Defect, number>();
  /** Messages of the first ones. */
  readonly examples: string[] = [];
  static readonly mostExamples = 5;

  add({ defect, message }: DefectError): void {
    this.counts.set(defect, (this.counts.get(defect) ?? 0) + 1);
    if (this.examples.length < Skipped.mostExamples) this.examples.push(message);
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** A split as it was read. */
export interface ReadSplit {
  name: string;
  files: readonly string[];
  /** Records, malformed ones counted. */
  rows: number;
  questions: Question[];
  skipped: Skipped;
}

export interface ReadSetOptions extends RowOptions {
  /** Leave malformed records out, and count them. Otherwise they are an error that names them. */
  skips: boolean;
}

/**
 * The parts of a set; a split that is for none is not read.
 * @throws UserError for a file that cannot be read; where nothing may be skipped, one that names the first malformed records
 */
export async function readSet(
  set: OpenSet,
  options: ReadSetOptions,
): Promise<Partial<Record<QuestionPart, ReadSplit>>> {
  const parts: Partial<Record<QuestionPart, ReadSplit>> = {};
  for (const part of questionParts) {
    const split = set.splits.find(({ name }) => name === set.parts[part]);
    if (split !== undefined) parts[part] = await readSplit(set.dataset, split, options);
  }
  return parts;
}

async function readSplit(dataset: string, { name, files }: Split, options: ReadSetOptions): Promise<ReadSplit> {
  const skipped = new Skipped();
  const questions: Question[] = [];
  const placeOf = new Map<string, string>();
  let rows = 0;
  for (const file of files) {
    const before = rows;
    for await (const row of readQuestionRows(file, options)) {
      rows = before + row.row + 1;
      const read = identified(row, { dataset, split: name, index: before + row.row }, placeOf);
      if (read instanceof DefectError) skipped.add(read);
      else questions.push(read);
    }
  }
  if (skipped.total > 0 && !options.skips) throw malformed(skipped, rows);
  if (questions.length === 0)
    throw new UserError(
      `${files.join(", ")} holds no question${rows > 0 ? ` among ${rows} records (${skipped.examples[0]})` : ""}.`,
    );
  return { name, files, rows, questions, skipped };
}

function malformed(skipped: Skipped, rows: number): UserError {
  const more = skipped.total - skipped.examples.length;
  return new UserError(
    `${skipped.total} of ${rows} records are no questions:\n${skipped.examples.map((example) => `  ${example}`).join("\n")}\n` +
      `${more > 0 ? `  … and ${more} more\n` : ""}Mend them, or leave them out with --skip-malformed.`,
  );
}

/** The question of a row under its identity. */
function identified(
  row: QuestionRow,
  place: { dataset: string; split: string; index: number },
  placeOf: Map<string, string>,
): Question | DefectError {
  if ("defect" in row) return row.defect;
  const question = withIdentity(row, place);
  const earlier = placeOf.get(question.id);
  if (earlier !== undefined)
    return new DefectError("repeated", `${row.place}: the question "${question.id}" stands already at ${earlier}.`);
  placeOf.set(question.id, row.place);
  return question;
}

/**
 * What says of itself which set and place it is from keeps that. Otherwise the set, the split and, of questions in our own layout, the id; of other layouts,
 * whose ids begin anew in every set, the row.
 */
function withIdentity(
  { question: { id, source, ...question }, isIdentified }: ReadRecord,
  { dataset, split, index }: { dataset: string; split: string; index: number },
): Question {
  if (isIdentified && id !== undefined) return { id, ...question, source };
  const own = source ?? sourceOf({ dataset, split });
  if (id?.startsWith(`${own}-`)) return { id, ...question, source: own };
  const isNumbered = id === undefined || /^(?:train|dev|val|validation|test)_\d+$/.test(id);
  return { id: `${own}-${isNumbered ? index : id}`, ...question, source: own };
}

/**
 * At most `limit` questions, in their order: a function of the seed and of what they are, and of a smaller limit a part of them.
 * @param limit all, where it is undefined
 */
export function subsetOf(questions: readonly Question[], limit: number | undefined, seed: number): Question[] {
  if (limit === undefined || limit >= questions.length) return [...questions];
  const places = questions.map((_, index) => index);
  const chosen = new Random(seed, "subset", questions[0]?.source ?? "").shuffle(places).slice(0, limit);
  return chosen.sort((one, other) => one - other).map((index) => questions[index]);
}
