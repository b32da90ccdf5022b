/**
 * @file What the schema of a table says: which columns are vector, text, id and title (found by name and type, or said), and, in the
 * metadata of tables that Sleuth made, which encoder made the vectors, and from which source.
 */
import { UserError } from "../../../errors.js";
import { parseJsonAs } from "../../../files/json-file.js";
import { encoderSourceSchema, type EncoderSource } from "../encoder.js";

/** Names of columns; an empty name means: there is none. */
export interface LanceColumns {
  vector: string;
  text: string;
  /** Empty: the row's number in the table is the id. */
  id: string;
  /** Empty: passages have no titles, unless the text is Search-R1's `contents`, which begins with one. */
  title: string;
}

/** The columns that say where a passage is from, as far as the table has them: tables of before they were written have none. */
export const originColumns = ["url", "section"] as const;

/** An Arrow schema, as far as it matters here. Said without Arrow's own types, which are not there where LanceDB is not installed. */
interface TableSchema {
  readonly fields: readonly Column[];
}

interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

interface ColumnType {
  readonly typeId: number;
  /** Of fixed-size lists. */
  readonly listSize?: number;
  readonly valueType?: ColumnType;
}

const textNames = ["text", "contents", "content", "passage", "body", "chunk", "chunk_text", "page_content", "document"];
const idNames = ["id", "_id", "chunk_id", "passage_id", "docid", "doc_id", "document_id", "pid", "uuid", "key"];
const titleNames = ["title", "name", "headline", "heading", "doc_title"];
const vectorNames = ["vector", "embedding"];

/** Arrow's numbers of types (`Type` in apache-arrow). */
const arrow = { int: 2, float: 3, utf8: 5, fixedSizeList: 16, largeUtf8: 20 };

/**
 * `TABLE:vector=COLUMN,text=COLUMN,id=COLUMN,title=COLUMN`, each part optional; `id=` and `title=` alone mean that there is none.
 * @throws UserError for other keys
 */
export function parseCollection(collection: string): { table: string; columns: Partial<LanceColumns> } {
  const colon = collection.indexOf(":");
  if (colon < 0) return { table: collection.trim(), columns: {} };
  const columns: Partial<LanceColumns> = {};
  for (const part of collection.slice(colon + 1).split(",")) {
    if (part.trim() === "") continue;
    const [key, ...rest] = part.split("=");
    const name = key.trim();
    if (rest.length === 0 || !["vector", "text", "id", "title"].includes(name))
      throw new UserError(
        `"${part.trim()}" in "${collection}" names no column. Write TABLE:vector=COLUMN,text=COLUMN,id=COLUMN,title=COLUMN; every part may be left out.`,
      );
    columns[name as keyof LanceColumns] = rest.join("=").trim();
  }
  return { table: collection.slice(0, colon).trim(), columns };
}

/**
 * The columns to search with, and the length of the vectors.
 * @throws UserError that lists the table's columns when one cannot be told or does not fit
 */
export function findColumns(
  table: string,
  schema: TableSchema,
  said: Partial<LanceColumns> = {},
): LanceColumns & { dimensions: number } {
  const columns = schema.fields;
  const fail = (why: string, key: keyof LanceColumns): never => {
    const list = columns.map(({ name, type }) => `${name} (${String(type)})`).join(", ");
    throw new UserError(
      `The LanceDB table "${table}" ${why}. Its columns: ${list === "" ? "none" : list}. Say which one it is: ${table}:${key}=COLUMN.`,
    );
  };
  const pick = (
    key: keyof LanceColumns,
    names: readonly string[],
    fits: (column: Column) => boolean,
  ): Column | undefined => {
    const name = said[key];
    if (name === "") return undefined;
    if (name !== undefined) {
      const column = columns.find((one) => one.name === name);
      if (column === undefined) return fail(`has no column "${name}"`, key);
      if (!fits(column)) return fail(`cannot take ${key} from "${name}", whose type is ${String(column.type)}`, key);
      return column;
    }
    const known = names.find((name) => columns.some((one) => fits(one) && one.name.toLowerCase() === name));
    return columns.find((one) => fits(one) && one.name.toLowerCase() === known);
  };

  const vectors = columns.filter(isVector);
  let vector = pick("vector", vectors.length > 1 ? [] : vectorNames, isVector);
  if (vector === undefined && vectors.length === 1) vector = vectors[0];
  if (vector === undefined) {
    const several = vectors.map(({ name }) => name).join(", ");
    return fail(several === "" ? "has no vectors to search" : `has several vector columns (${several})`, "vector");
  }
  const id = pick("id", idNames, isId);
  const title = pick("title", titleNames, isText);
  let text = pick("text", textNames, isText);
  if (text === undefined) {
    // A single text column besides id and title needs no known name.
    const others = columns.filter((one) => isText(one) && one.name !== id?.name && one.name !== title?.name);
    if (others.length === 1 && said.text === undefined) text = others[0];
  }
  if (text === undefined) return fail("has no column that is the passages' text beyond doubt", "text");
  return {
    vector: vector.name,
    text: text.name,
    id: id?.name ?? "",
    title: title?.name ?? "",
    dimensions: vector.type.listSize as number,
  };
}

/** Those of `originColumns` that a table has besides its text. */
export function originColumnsOf({ fields }: TableSchema, { text }: Pick<LanceColumns, "text">): string[] {
  const names = fields.filter((column) => isText(column) && column.name !== text).map(({ name }) => name);
  return originColumns.filter((name) => names.includes(name));
}

function isVector({ type }: Column): boolean {
  return type.typeId === arrow.fixedSizeList && type.valueType?.typeId === arrow.float;
}

function isText({ type }: Column): boolean {
  return type.typeId === arrow.utf8 || type.typeId === arrow.largeUtf8;
}

function isId(column: Column): boolean {
  // Tables made from plain JavaScript objects have float64 for every number.
  return isText(column) || column.type.typeId === arrow.int || column.type.typeId === arrow.float;
}

const keys = { encoder: "sleuth.encoder", source: "sleuth.source", encoderSource: "sleuth.encoder.source" } as const;

/** What a table of ours says about itself; fixed when it is made. */
export interface TableNotes {
  /** `name` of the encoder that made the vectors. */
  encoder?: string;
  /** Tells the source of the passages from any other: a build is continued from the same one only. */
  source?: string;
  /** What opens that encoder again. */
  encoderSource?: EncoderSource;
}

export function toMetadata({ encoder, source, encoderSource }: TableNotes): Map<string, string> {
  const metadata = new Map<string, string>();
  if (encoder !== undefined) metadata.set(keys.encoder, encoder);
  if (source !== undefined) metadata.set(keys.source, source);
  if (encoderSource !== undefined) metadata.set(keys.encoderSource, JSON.stringify(encoderSource));
  return metadata;
}

export function fromMetadata(metadata: ReadonlyMap<string, string>): TableNotes {
  const found = metadata.get(keys.encoderSource);
  return {
    encoder: metadata.get(keys.encoder),
    source: metadata.get(keys.source),
    encoderSource:
      found === undefined
        ? undefined
        : parseJsonAs(
            found,
            `the LanceDB table's note "${keys.encoderSource}"`,
            encoderSourceSchema,
            "Build the table again.",
          ),
  };
}
