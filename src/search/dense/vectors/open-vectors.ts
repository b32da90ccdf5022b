/** @file Vectors that were made elsewhere: a stream of rows from a file, opened by its ending. */
import { UserError } from "../../../errors.js";
import { openNpy, openRaw } from "./flat.js";
import { openParquet, type ParquetColumns } from "./parquet.js";

export interface VectorRows {
  /** [rows × dimensions], as stored. */
  vectors: Float32Array | Float64Array;
  /** Which passage each row belongs to; absent where rows are in the order of the corpus. */
  ids?: string[];
}

export interface VectorSource {
  /** For messages: the file. */
  readonly name: string;
  readonly dimensions: number;
  readonly count: number;
  rows(): AsyncIterable<VectorRows>;
  close(): Promise<void>;
}

export interface OpenVectorsOptions {
  /** Of raw files, which do not say. */
  dimensions?: number;
  /** Of Parquet files. */
  columns?: ParquetColumns;
}

/**
 * Opens `.npy`, `.parquet`, or raw float32 (`.f32`, `.bin`, `.raw`).
 * @throws UserError for files of other kinds, and when the file cannot be used
 */
export async function openVectors(path: string, options: OpenVectorsOptions = {}): Promise<VectorSource> {
  const ending = /\.([a-z0-9]+)$/i.exec(path)?.[1].toLowerCase();
  switch (ending) {
    case "npy":
      return openNpy(path);
    case "parquet":
      return openParquet(path, options.columns);
    case "f32":
    case "bin":
    case "raw":
      return openRaw(path, options.dimensions ?? Number.NaN);
    case "index":
    case "faiss":
      throw new UserError(
        `${path} looks like an index of faiss, as Search-R1 ships them; its format belongs to faiss. Where faiss is installed, turn a flat index into vectors: ` +
          `\`python -c "import faiss, numpy; i = faiss.read_index('${path}'); numpy.save('vectors.npy', i.reconstruct_n(0, i.ntotal))"\`, and give vectors.npy.`,
      );
    default:
      throw new UserError(
        `${path}: vectors are read from .npy, .parquet, and raw float32 (.f32, .bin or .raw with their dimensions).`,
      );
  }
}
