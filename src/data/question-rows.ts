/** @file The records of a file of questions one after another, whatever its format: JSONL, plain or gzip, and Parquet. */
import { UserError } from "../errors.js";
import { parseRecord, readLines } from "../files/lines.js";
import { ParquetFile } from "../files/parquet.js";
import { DefectError, parseQuestionRecord, questionShape, recordFields, type ReadRecord } from "./question-record.js";

/** A record that is a question, or what is wrong with it. */
export type QuestionRow = {
  /** From 0, malformed records counted, empty lines not. */
  row: number;
  /** File and line or row, for messages. */
  place: string;
} & (ReadRecord | { defect: DefectError });

export interface RowOptions {
  signal?: AbortSignal;
  /** Bytes of the file, or rows of Parquet, that were read since the last call. */
  onRead?: (count: number) => void;
}

/** Whether a file's name says that it is Parquet. */
export function isParquet(file: string): boolean {
  return file.toLowerCase().endsWith(".parquet");
}

/**
 * @throws UserError for a file that cannot be read at all; what is wrong with one record stands in its row
 */
export function readQuestionRows(file: string, options: RowOptions = {}): AsyncGenerator<QuestionRow> {
  return isParquet(file) ? rowsOfParquet(file, options) : rowsOfLines(file, options);
}

async function* rowsOfLines(file: string, { signal, onRead }: RowOptions): AsyncGenerator<QuestionRow> {
  let row = 0;
  const asked = { signal, onBytes: onRead, keepsMalformed: true };
  for await (const lines of readLines(file, asked))
    for (const { text, number, problem } of lines) {
      const place = `${file}:${number}`;
      yield rowOf(row++, place, () => {
        if (problem !== undefined) throw problem;
        return parseRecord(place, text, questionShape);
      });
    }
}

async function* rowsOfParquet(path: string, { signal, onRead }: RowOptions): AsyncGenerator<QuestionRow> {
  const file = await ParquetFile.open(path);
  try {
    const known: readonly string[] = recordFields;
    // Prompts are long, and needed only where no column holds the question by itself.
    const columns = file.columns.filter(
      (name) => known.includes(name) || (name === "prompt" && !file.columns.includes("question")),
    );
    for await (const { first, rows } of file.pieces(columns)) {
      signal?.throwIfAborted();
      onRead?.(rows.length);
      for (const [index, record] of rows.entries())
        yield rowOf(first + index, `${path}: row ${first + index}`, () => record);
    }
  } finally {
    await file.close();
  }
}

function rowOf(row: number, place: string, record: () => Readonly<Record<string, unknown>>): QuestionRow {
  try {
    return { row, place, ...parseQuestionRecord(place, record()) };
  } catch (error) {
    if (error instanceof DefectError) return { row, place, defect: error };
    if (!(error instanceof UserError)) throw error;
    return { row, place, defect: new DefectError("unreadable", error.message, { cause: error }) };
  }
}
