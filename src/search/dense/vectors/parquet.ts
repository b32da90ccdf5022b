/** @file Vectors in a Parquet file: a column with a list of numbers for each row and a column with ids. */
import { UserError } from "../../../errors.js";
import { kindOf } from "../../../files/lines.js";
import { ParquetFile, type ParquetPiece } from "../../../files/parquet.js";
import type { VectorRows, VectorSource } from "./open-vectors.js";

export interface ParquetColumns {
  /** Default "id". */
  id?: string;
  /** Default: the first of "vector", "embedding", "embeddings", "values" that is there. */
  vector?: string;
}

const usualVectors = ["vector", "embedding", "embeddings", "values"];

/** @throws UserError for a file that is no Parquet or lacks the columns */
export async function openParquet(path: string, columns: ParquetColumns = {}): Promise<VectorSource> {
  const file = await ParquetFile.open(path);
  try {
    const id = chosen(file, [columns.id ?? "id"]);
    const vector = chosen(file, columns.vector === undefined ? usualVectors : [columns.vector]);
    if (file.rowCount === 0) throw new UserError(`${path} holds no rows.`);
    const [first] = await file.rows([vector], 0, 1);
    return new ParquetVectors(file, { id, vector }, numbersOf(path, 0, first[vector]).length);
  } catch (error) {
    await file.close();
    throw error;
  }
}

class ParquetVectors implements VectorSource {
  readonly name: string;
  readonly dimensions: number;
  readonly count: number;
  readonly #file: ParquetFile;
  readonly #columns: Required<ParquetColumns>;

  constructor(file: ParquetFile, columns: Required<ParquetColumns>, dimensions: number) {
    this.name = file.path;
    this.dimensions = dimensions;
    this.count = file.rowCount;
    this.#file = file;
    this.#columns = columns;
  }

  async *rows(): AsyncGenerator<VectorRows> {
    const { id, vector } = this.#columns;
    for await (const piece of this.#file.pieces([id, vector])) yield this.#vectorsOf(piece);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #vectorsOf({ first, rows }: ParquetPiece): VectorRows {
    const [path, dimensions, { id, vector }] = [this.name, this.dimensions, this.#columns];
    const vectors = new Float64Array(rows.length * dimensions);
    for (const [index, row] of rows.entries()) {
      const numbers = numbersOf(path, first + index, row[vector]);
      if (numbers.length !== dimensions)
        throw new UserError(
          `${path}: row ${first + index} has ${numbers.length} numbers where row 0 has ${dimensions}.`,
        );
      vectors.set(numbers, index * dimensions);
    }
    return { vectors, ids: rows.map((row, index) => idOf(path, first + index, row[id])) };
  }
}

function chosen({ path, columns }: ParquetFile, wanted: readonly string[]): string {
  const found = wanted.find((name) => columns.includes(name));
  if (found !== undefined) return found;
  throw new UserError(
    `${path} has no column ${wanted.map((name) => `"${name}"`).join(" or ")}; its columns are ${columns.join(", ")}. Name the columns of ids and vectors.`,
  );
}

function numbersOf(path: string, row: number, value: unknown): ArrayLike<number> {
  const list = ArrayBuffer.isView(value) || Array.isArray(value) ? (value as unknown as ArrayLike<unknown>) : undefined;
  if (list === undefined || list.length === 0)
    throw new UserError(`${path}: the vector of row ${row} is no list of numbers.`);
  for (let index = 0; index < list.length; index++)
    if (typeof list[index] !== "number")
      throw new UserError(`${path}: the vector of row ${row} holds ${kindOf(list[index])} at place ${index}.`);
  return list as ArrayLike<number>;
}

/** As in a corpus: text or whole numbers. */
function idOf(path: string, row: number, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  if (typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value))) return String(value);
  throw new UserError(
    `${path}: the id of row ${row} is ${value === "" ? "empty" : kindOf(value)}; ids are text or whole numbers.`,
  );
}
