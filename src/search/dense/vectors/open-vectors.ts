/** @file Vectors that were made elsewhere: a stream of rows from a file, opened by its ending, and its rows in the order of a corpus. */
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

/** A vector counts as one of unit length within this. */
const tolerance = 1e-3;

interface GivenVectors {
  /** Row-major, [passages × dimensions], in pieces whose order is that of the corpus. */
  pieces: Float32Array[];
  /** How many were not of unit length. */
  normalised: number;
}

const rowsPerPiece = 16_384;

/**
 * Reads all vectors into memory, each at its passage's place.
 * @param ids of the passages, in their order
 * @throws UserError naming file and row: another number of vectors than passages, an id that no passage has or that occurs twice, a vector
 *   that is zero or not finite
 */
export async function placeVectors(
  source: VectorSource,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<GivenVectors> {
  const { name, count, dimensions } = source;
  if (count !== ids.length)
    throw new UserError(
      `${name} holds ${count} vectors for ${ids.length} passages. They must be made from this corpus, one for each passage.`,
    );
  const pieces: Float32Array[] = [];
  for (let first = 0; first < count; first += rowsPerPiece)
    pieces.push(new Float32Array(Math.min(rowsPerPiece, count - first) * dimensions));
  let places: Map<string, number> | undefined;
  const isPlaced = new Uint8Array(count);
  let normalised = 0;
  let row = 0;
  for await (const { vectors, ids: given } of source.rows()) {
    signal?.throwIfAborted();
    if (given !== undefined) places ??= new Map(ids.map((id, place) => [id, place]));
    for (let index = 0; index < vectors.length / dimensions; index++, row++) {
      const place = given === undefined ? row : places!.get(given[index]);
      if (place === undefined)
        throw new UserError(
          `${name}: row ${row} belongs to "${given![index]}", and no passage of the corpus has this id.`,
        );
      if (isPlaced[place] === 1)
        throw new UserError(`${name}: row ${row} is a second vector of passage "${ids[place]}". Ids occur once.`);
      isPlaced[place] = 1;
      const start = (place % rowsPerPiece) * dimensions;
      const target = pieces[Math.floor(place / rowsPerPiece)].subarray(start, start + dimensions);
      if (putUnit(vectors.subarray(index * dimensions, (index + 1) * dimensions), target, name, row)) normalised++;
    }
  }
  if (row !== count) throw new UserError(`${name} ended after ${row} of ${count} vectors. Copy it again.`);
  return { pieces, normalised };
}

/** @returns whether it was of another length */
function putUnit(vector: Float32Array | Float64Array, target: Float32Array, name: string, row: number): boolean {
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!(squares > 0 && squares < Infinity))
    throw new UserError(
      `${name}: the vector of row ${row} is ${squares === 0 ? "zero" : "not finite"}, and nothing is near it. Make it anew.`,
    );
  const length = Math.sqrt(squares);
  const isUnit = Math.abs(length - 1) <= tolerance;
  for (let index = 0; index < vector.length; index++) target[index] = vector[index] / length;
  return !isUnit;
}
