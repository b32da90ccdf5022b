/**
 * @file A corpus: JSONL files with one document per line, `{"id", "contents": "\"Title\"\ntext"}` as Search-R1 ships them
 * or `{"id", "title", "text"}`, each with `"url"` and `"section"` where they are known, plain or gzip, streamed.
 */
import { UserError } from "../../errors.js";
import { kindOf, parseRecord, readLines } from "../../files/lines.js";
import type { Line } from "../../files/lines.js";
import type { StoredPassage } from "../../types.js";
import { statOf } from "./find.js";
import { parseContents, withOrigin } from "../text/contents.js";
import { normaliseText } from "../text/normalise.js";
import { IdTable } from "../id-table.js";

interface CorpusOptions {
  signal?: AbortSignal;
  /** Bytes read so far and bytes of all files (compressed ones for .gz). */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * The documents of the files in order, in batches. Files after one another make one corpus: an id occurs once in all.
 * @throws UserError naming file, line and field of the first malformed line; both lines of a repeated id; or the files,
 * when they hold no document at all.
 */
export async function* readCorpus(
  paths: readonly string[],
  options: CorpusOptions = {},
): AsyncGenerator<StoredPassage[]> {
  if (paths.length === 0) throw new UserError("No corpus file was given. Name at least one JSONL file.");
  const totalBytes = await sizeOf(paths);
  const ids = new SeenIds(paths);
  let doneBytes = 0;
  let documents = 0;
  const onBytes = (bytes: number): void => {
    doneBytes += bytes;
    options.onProgress?.(doneBytes, totalBytes);
  };
  for (const [fileIndex, path] of paths.entries()) {
    for await (const lines of readLines(path, { signal: options.signal, onBytes })) {
      const batch = lines.map((line) => parseDocument(path, line));
      for (const [index, { id }] of batch.entries()) await ids.add(id, fileIndex, lines[index].number);
      documents += batch.length;
      yield batch;
    }
  }
  if (documents === 0)
    throw new UserError(
      `The corpus is empty: ${paths.join(", ")} ${paths.length > 1 ? "hold" : "holds"} no document. ${shape}`,
    );
}

/** All documents of a small corpus. */
export async function loadCorpus(paths: readonly string[], options: CorpusOptions = {}): Promise<StoredPassage[]> {
  const passages: StoredPassage[] = [];
  for await (const batch of readCorpus(paths, options)) passages.push(...batch);
  return passages;
}

/** What a line looks like, for messages. */
export const shape =
  'A line looks like {"id": "1", "title": "Peru", "text": "Lima is the capital."} or {"id": "1", "contents": "\\"Peru\\"\\nLima is the capital."}.';

/**
 * One line as a document.
 * @throws UserError naming `path`, line and field
 */
export function parseDocument(path: string, line: Line): StoredPassage {
  const place = `${path}:${line.number}`;
  const record = parseRecord(place, line.text, shape);
  const id = idOf(place, record);
  if (record.contents !== undefined)
    return withOrigin({ id, ...parseContents(textField(place, record, "contents")) }, record);
  if (record.text === undefined)
    throw new UserError(
      `${place}: field "text" (or "contents") is missing; the line has ${fieldsOf(record)}. ${shape}`,
    );
  const title = record.title === undefined || record.title === null ? "" : textField(place, record, "title");
  return withOrigin({ id, title, text: textField(place, record, "text") }, record);
}

/** Ids are text or whole numbers; numbers become text. */
function idOf(place: string, record: Record<string, unknown>): string {
  const { id } = record;
  if (typeof id === "number" && Number.isSafeInteger(id)) return String(id);
  if (typeof id === "string" && id !== "") return id;
  const problem =
    id === undefined
      ? `is missing; the line has ${fieldsOf(record)}`
      : `must be text that is not empty, got ${kindOf(id)}`;
  throw new UserError(`${place}: field "id" ${problem}. ${shape}`);
}

function textField(place: string, record: Record<string, unknown>, field: string): string {
  const value = record[field];
  if (typeof value === "string") return normaliseText(value);
  throw new UserError(`${place}: field "${field}" must be text, got ${kindOf(value)}. ${shape}`);
}

function fieldsOf(record: Record<string, unknown>): string {
  const names = Object.keys(record).slice(0, 10);
  return names.length === 0 ? "no fields" : names.map((name) => `"${name.slice(0, 40)}"`).join(", ");
}

/**
 * Bytes of all files together.
 * @throws UserError when one cannot be read
 */
export async function sizeOf(paths: readonly string[]): Promise<number> {
  let total = 0;
  for (const path of paths) total += (await statOf(path)).size;
  return total;
}

/** A document's place in its files. */
interface DocumentPlace {
  path: string;
  line: number;
  id: string;
}

/** Finds a document again by its number in the order of reading, from 0. Slow, but only for a message. */
export async function locateDocument(paths: readonly string[], number: number): Promise<DocumentPlace> {
  let remaining = number;
  for (const path of paths) {
    for await (const lines of readLines(path)) {
      if (remaining < lines.length) {
        const line = lines[remaining];
        return { path, line: line.number, id: parseDocument(path, line).id };
      }
      remaining -= lines.length;
    }
  }
  throw new Error(`internal: document ${number} was read once but is not found again`);
}

/** Remembers where each id stood. */
class SeenIds {
  readonly #paths: readonly string[];
  readonly #table = new IdTable();
  #count = 0;

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** @throws UserError naming both lines when the id was seen before. */
  async add(id: string, fileIndex: number, lineNumber: number): Promise<void> {
    const earlier = this.#table.add(id, this.#count++);
    if (earlier === undefined) return;
    const place = await locateDocument(this.#paths, earlier);
    // A false alarm of the hash: both ids stay, at the price of not noticing a third one.
    if (place.id !== id) return;
    throw new UserError(
      `${this.#paths[fileIndex]}:${lineNumber}: field "id": "${id}" stands already in ${place.path}:${place.line}. Ids must be unique.`,
    );
  }
}
