/** @file Parquet files: their columns by name, read row by row, a part at a time. */
import type { FileHandle } from "node:fs/promises";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { UserError } from "../errors.js";
import { openToRead, readInto } from "./read-into.js";

/** Rows of a large row group read at a time. */
const rowsPerPiece = 4_096;

/** A row: its values by the names of their columns. A column of records holds objects. */
export type ParquetRow = Readonly<Record<string, unknown>>;

/** Rows that follow each other. */
export interface ParquetPiece {
  /** Number of the first one, from 0. */
  first: number;
  rows: ParquetRow[];
}

export class ParquetFile {
  readonly path: string;
  /** Names of the columns of the uppermost level. */
  readonly columns: readonly string[];
  readonly rowCount: number;
  readonly #handle: FileHandle;
  readonly #buffer: AsyncBuffer;
  readonly #metadata: FileMetaData;

  private constructor(path: string, handle: FileHandle, buffer: AsyncBuffer, read: Metadata) {
    this.path = path;
    this.columns = read.names;
    this.rowCount = Number(read.metadata.num_rows);
    this.#handle = handle;
    this.#buffer = buffer;
    this.#metadata = read.metadata;
  }

  /** The caller closes it. @throws UserError for a file that is no Parquet */
  static async open(path: string): Promise<ParquetFile> {
    const handle = await openToRead(path);
    try {
      const buffer = bufferOf(path, handle, (await handle.stat()).size);
      return new ParquetFile(path, handle, buffer, await readMetadata(path, buffer));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** All rows, in pieces that lie in one row group. @throws UserError where they cannot be read */
  async *pieces(columns: readonly string[]): AsyncGenerator<ParquetPiece> {
    let first = 0;
    for (const group of this.#metadata.row_groups) {
      const end = first + Number(group.num_rows);
      for (let next; first < end; first = next) {
        next = Math.min(end, first + rowsPerPiece);
        yield { first, rows: await this.rows(columns, first, next) };
      }
    }
  }

  /** Rows from number `first` to before `end`. @throws UserError where they cannot be read */
  async rows(columns: readonly string[], first: number, end: number): Promise<ParquetRow[]> {
    try {
      const rows: Record<string, unknown>[] = Array.from({ length: end - first }, () => ({}));
      // One after another: of two read at once that both fail, the second failure would be unhandled, and end the process.
      for (const name of columns) {
        const values = await this.#column(name, first, end);
        for (const [index, row] of rows.entries()) row[name] = values[index];
      }
      return rows;
    } catch (cause) {
      if (cause instanceof UserError) throw cause;
      const why = (cause as Error).message;
      throw new UserError(`${this.path}: rows ${first} to ${end} cannot be read (${why}). Write the file again.`, {
        cause,
      });
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #column(name: string, rowStart: number, rowEnd: number): Promise<unknown[]> {
    const [{ parquetReadObjects }, { compressors }] = await Promise.all([
      import("hyparquet"),
      import("hyparquet-compressors"),
    ]);
    const [file, metadata] = [this.#buffer, this.#metadata];
    const rows = await parquetReadObjects({ file, metadata, compressors, columns: [name], rowStart, rowEnd });
    if (rows.length !== rowEnd - rowStart) throw new Error(`the file has ${rows.length} of them`);
    return rows.map((row) => row[name] as unknown);
  }
}

/** A file as the library reads it. */
function bufferOf(path: string, handle: FileHandle, size: number): AsyncBuffer {
  const endedEarly = (): UserError => new UserError(`${path} ended early while it was read. Copy it again.`);
  const bytesAt = async (start: number, end: number): Promise<ArrayBuffer> => {
    // Places come from the file itself.
    if (!(start >= 0 && end >= start && end <= size)) throw endedEarly();
    const bytes = new Uint8Array(end - start);
    await readInto(handle, bytes, start, endedEarly);
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

interface Metadata {
  metadata: FileMetaData;
  names: string[];
}

/** @throws UserError for a file that is no Parquet */
async function readMetadata(path: string, file: AsyncBuffer): Promise<Metadata> {
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
