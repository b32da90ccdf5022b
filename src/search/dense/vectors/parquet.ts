/** @file Vectors in a Parquet file: a column with a list of numbers for each row and a column with ids. Row groups are read one by one. */
import type { FileHandle } from "node:fs/promises";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { UserError } from "../../../errors.js";
import { kindOf } from "../../../files/lines.js";
import { openToRead, readInto } from "../../../files/read-into.js";
import { endedEarly } from "./flat.js";
import type { VectorRows, VectorSource } from "./open-vectors.js";

export interface ParquetColumns {
  /** Default "id". */
  id?: string;
  /** Default: the first of "vector", "embedding", "embeddings", "values" that is there. */
  vector?: string;
}

const usualVectors = ["vector", "embedding", "embeddings", "values"];

/** Rows of a large row group read at a time. */
const rowsPerPiece = 4_096;

/** @throws UserError for a file that is no Parquet or lacks the columns */
export async function openParquet(path: string, columns: ParquetColumns = {}): Promise<VectorSource> {
  const handle = await openToRead(path);
  try {
    const { size } = await handle.stat();
    const file = bufferOf(path, handle, size);
    const { metadata, names } = await readMetadata(path, file);
    const id = chosen(path, names, [columns.id ?? "id"]);
    const vector = chosen(path, names, columns.vector === undefined ? usualVectors : [columns.vector]);
    if (Number(metadata.num_rows) === 0) throw new UserError(`${path} holds no rows.`);
    const table = { path, file, metadata, id, vector };
    const [first] = await readRows(table, 0, 1);
    return new ParquetVectors(handle, table, numbersOf(path, 0, first.vector).length);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** An open file, and its two columns. */
interface ParquetTable {
  path: string;
  file: AsyncBuffer;
  metadata: FileMetaData;
  id: string;
  vector: string;
}

class ParquetVectors implements VectorSource {
  readonly name: string;
  readonly dimensions: number;
  readonly count: number;
  readonly #handle: FileHandle;
  readonly #table: ParquetTable;

  constructor(handle: FileHandle, table: ParquetTable, dimensions: number) {
    this.name = table.path;
    this.dimensions = dimensions;
    this.count = Number(table.metadata.num_rows);
    this.#handle = handle;
    this.#table = table;
  }

  async *rows(): AsyncGenerator<VectorRows> {
    let start = 0;
    for (const group of this.#table.metadata.row_groups) {
      const end = start + Number(group.num_rows);
      for (; start < end; start = Math.min(end, start + rowsPerPiece))
        yield this.#piece(start, await readRows(this.#table, start, Math.min(end, start + rowsPerPiece)));
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #piece(start: number, rows: readonly ParquetRow[]): VectorRows {
    const [path, dimensions] = [this.name, this.dimensions];
    const vectors = new Float64Array(rows.length * dimensions);
    for (const [index, row] of rows.entries()) {
      const numbers = numbersOf(path, start + index, row.vector);
      if (numbers.length !== dimensions)
        throw new UserError(
          `${path}: row ${start + index} has ${numbers.length} numbers where row 0 has ${dimensions}.`,
        );
      vectors.set(numbers, index * dimensions);
    }
    return { vectors, ids: rows.map((row, index) => idOf(path, start + index, row.id)) };
  }
}

/** A file as the library reads it. */
function bufferOf(path: string, handle: FileHandle, size: number): AsyncBuffer {
  const bytesAt = async (start: number, end: number): Promise<ArrayBuffer> => {
    // Places come from the file itself.
    if (!(start >= 0 && end >= start && end <= size)) throw endedEarly(path);
    const bytes = new Uint8Array(end - start);
    await readInto(handle, bytes, start, () => endedEarly(path));
    return bytes.buffer;
  };
  return {
    byteLength: size,
    slice(start, end = size) {
      const bytes = bytesAt(start, end);
      // The library reads ahead, and gives up what it has not asked for yet when something else fails.
      bytes.catch(() => undefined);
      return bytes;
    },
  };
}

/** @throws UserError for a file that is no Parquet */
async function readMetadata(path: string, file: AsyncBuffer): Promise<{ metadata: FileMetaData; names: string[] }> {
  const { parquetMetadataAsync, parquetSchema } = await import("hyparquet");
  try {
    const metadata = await parquetMetadataAsync(file);
    const groups = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
    if (groups !== Number(metadata.num_rows)) throw new Error("its counts of rows differ");
    return { metadata, names: parquetSchema(metadata).children.map(({ element }) => element.name) };
  } catch (cause) {
    throw new UserError(
      `${path} is no Parquet file (${(cause as Error).message}). Check the path, or write it again.`,
      { cause },
    );
  }
}

/** Rows from number `first` to before `end`. @throws UserError where they cannot be read */
async function readRows(
  { path, file, metadata, id, vector }: ParquetTable,
  first: number,
  end: number,
): Promise<ParquetRow[]> {
  const [{ parquetReadObjects }, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet-compressors"),
  ]);
  const column = async (name: string): Promise<unknown[]> => {
    const rows = await parquetReadObjects({
      file,
      metadata,
      compressors,
      columns: [name],
      rowStart: first,
      rowEnd: end,
    });
    if (rows.length !== end - first) throw new Error(`the file has ${rows.length} of them`);
    return rows.map((row) => row[name] as unknown);
  };
  try {
    // One after another: of two read at once that both fail, the second failure would be unhandled, and end the process.
    const ids = await column(id);
    const vectors = await column(vector);
    return ids.map((own, row) => ({ id: own, vector: vectors[row] }));
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const why = (cause as Error).message;
    throw new UserError(`${path}: rows ${first} to ${end} cannot be read (${why}). Write the file again.`, { cause });
  }
}

interface ParquetRow {
  id: unknown;
  vector: unknown;
}

function chosen(path: string, names: readonly string[], wanted: readonly string[]): string {
  const found = wanted.find((name) => names.includes(name));
  if (found !== undefined) return found;
  throw new UserError(
    `${path} has no column ${wanted.map((name) => `"${name}"`).join(" or ")}; its columns are ${names.join(", ")}. Name the columns of ids and vectors.`,
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
