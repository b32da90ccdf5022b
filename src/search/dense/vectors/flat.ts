/**
 * @file Vectors in a flat file: NumPy's `.npy` (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), versions 1 to 3,
 * float16, float32 or float64 in C order; or raw little-endian float32.
 */
import type { FileHandle } from "node:fs/promises";
import { float16ToFloat32 } from "../../../engine/io/half-precision.js";
import { UserError } from "../../../errors.js";
import { openToRead, readInto } from "../../../files/read-into.js";
import type { VectorRows, VectorSource } from "./open-vectors.js";

const bytesPerPiece = 8 << 20;

interface Layout {
  start: number;
  count: number;
  dimensions: number;
  bytesPerNumber: 2 | 4 | 8;
}

/** @throws UserError for a file that is no such array */
export async function openNpy(path: string): Promise<VectorSource> {
  const handle = await openToRead(path);
  try {
    return new FlatVectors(path, handle, await readHeader(path, handle));
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** @throws UserError when the file's size is no multiple of a vector's */
export async function openRaw(path: string, dimensions: number): Promise<VectorSource> {
  if (!Number.isSafeInteger(dimensions) || dimensions < 1)
    throw new UserError(`${path}: raw vectors need their dimensions, a whole number like 768; got ${dimensions}.`);
  const handle = await openToRead(path);
  const { size } = await handle.stat();
  if (size === 0 || size % (4 * dimensions) !== 0) {
    await handle.close();
    throw new UserError(
      `${path} has ${size} bytes, which is no whole number of float32 vectors with ${dimensions} dimensions. Check the dimensions; files of other types can be saved as .npy.`,
    );
  }
  return new FlatVectors(path, handle, { start: 0, count: size / (4 * dimensions), dimensions, bytesPerNumber: 4 });
}

class FlatVectors implements VectorSource {
  readonly name: string;
  readonly dimensions: number;
  readonly count: number;
  readonly #handle: FileHandle;
  readonly #layout: Layout;

  constructor(name: string, handle: FileHandle, layout: Layout) {
    this.name = name;
    this.#handle = handle;
    this.#layout = layout;
    this.dimensions = layout.dimensions;
    this.count = layout.count;
  }

  async *rows(): AsyncGenerator<VectorRows> {
    const { start, count, dimensions, bytesPerNumber } = this.#layout;
    const rowBytes = dimensions * bytesPerNumber;
    const rowsPerPiece = Math.max(1, Math.floor(bytesPerPiece / rowBytes));
    for (let first = 0; first < count; first += rowsPerPiece) {
      const bytes = new Uint8Array(Math.min(rowsPerPiece, count - first) * rowBytes);
      await readInto(this.#handle, bytes, start + first * rowBytes, () => endedEarly(this.name));
      yield { vectors: numbersOf(bytes.buffer, bytesPerNumber) };
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function numbersOf(bytes: ArrayBuffer, bytesPerNumber: 2 | 4 | 8): Float32Array | Float64Array {
  if (bytesPerNumber === 4) return new Float32Array(bytes);
  if (bytesPerNumber === 8) return new Float64Array(bytes);
  const numbers = new Float32Array(bytes.byteLength / 2);
  float16ToFloat32(new Uint16Array(bytes), numbers);
  return numbers;
}

async function readHeader(path: string, handle: FileHandle): Promise<Layout> {
  const refuse = (why: string): UserError =>
    new UserError(
      `${path}: ${why}. Save it with \`numpy.save(path, numpy.ascontiguousarray(vectors, dtype="float32"))\`.`,
    );
  const { buffer: beginning, bytesRead } = await handle.read(Buffer.alloc(12), 0, 12, 0);
  if (bytesRead < 12 || beginning.toString("latin1", 0, 6) !== "\x93NUMPY") throw refuse("it is no .npy file");
  const version = beginning[6];
  if (version < 1 || version > 3) throw refuse(`it is of .npy version ${version}; versions 1 to 3 can be read`);
  const prefix = version === 1 ? 10 : 12;
  const length = version === 1 ? beginning.readUInt16LE(8) : beginning.readUInt32LE(8);
  if (length > 1 << 20) throw refuse("its header is damaged");
  const { buffer: header } = await handle.read(Buffer.alloc(length), 0, length, prefix);
  const text = header.toString("utf8");
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([^)]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || shape === undefined)
    throw refuse("its header names no plain type, order and shape");
  const bytesPerNumber = ({ "<f2": 2, "<f4": 4, "<f8": 8 } as const)[descr];
  if (bytesPerNumber === undefined) throw refuse(`its numbers are ${descr}; <f4, <f2 and <f8 can be read`);
  const sizes = shape
    .split(",")
    .filter((size) => size.trim() !== "")
    .map(Number);
  if (sizes.length !== 2 || !sizes.every((size) => Number.isSafeInteger(size) && size > 0))
    throw refuse(`its shape is (${shape.trim()}) instead of (passages, dimensions)`);
  if (order === "True") throw refuse("it is in Fortran order");
  const [count, dimensions] = sizes;
  const start = prefix + length;
  const { size } = await handle.stat();
  const expected = start + count * dimensions * bytesPerNumber;
  if (size !== expected)
    throw refuse(`it has ${size} bytes where its header promises ${expected}: it was cut off or written over`);
  return { start, count, dimensions, bytesPerNumber };
}

/** The file was cut off while it was open. */
function endedEarly(path: string): UserError {
  return new UserError(`${path} ended early while it was read. Copy it again.`);
}
