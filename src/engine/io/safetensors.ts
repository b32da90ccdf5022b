/**
 * @file The safetensors format (https://github.com/huggingface/safetensors): eight bytes with the header's length, a
 * JSON header that places every tensor, then the numbers, little-endian and without gaps. Tensors are read and written
 * one by one, so memory stays at what the caller holds.
 */
import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { UserError } from "../../errors.js";
import { elementCount, parameter, type ParameterStore } from "../model/parameters.js";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "./half-precision.js";
import { openToRead, readInto } from "../../files/read-into.js";

/** The reference implementation's limit. */
const maxHeaderBytes = 100_000_000;
const chunkBytes = 1 << 20;

/** Types whose values can be read and written; they become float32 in memory. */
export const floatTypes = ["F32", "F16", "BF16"] as const;
export type FloatType = (typeof floatTypes)[number];

const bytesOf: Record<string, number> = {
  ...{ F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2 },
  ...{ I8: 1, U8: 1, BOOL: 1, F8_E4M3: 1, F8_E5M2: 1 },
};

interface TensorEntry {
  /** As the file says, for example `BF16`. */
  dtype: string;
  shape: number[];
  /** Bytes [begin, end) after the header. */
  begin: number;
  end: number;
}

interface NamedTensor {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}

const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
const headerSchema = z.record(z.string(), z.unknown());

/** An open file whose header has been checked. Close it. */
export class SafetensorsFile {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #handle: FileHandle;
  readonly #dataStart: number;

  /** @throws UserError when the file is missing, truncated or malformed: with the file, the tensor and what to do */
  static async open(file: string): Promise<SafetensorsFile> {
    const handle = await openToRead(file);
    try {
      return await SafetensorsFile.#read(file, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  static async #read(file: string, handle: FileHandle): Promise<SafetensorsFile> {
    const { size } = await handle.stat();
    if (size < 8) throw damaged(file, `it has ${size} bytes, fewer than the 8 that every such file begins with`);
    const lengthBytes = await readExactly(handle, 0, 8, file, "the header's length");
    const headerLength = lengthBytes.readBigUInt64LE();
    if (headerLength > BigInt(maxHeaderBytes)) {
      throw damaged(file, `its header claims ${headerLength} bytes. Is it a safetensors file at all?`);
    }
    const dataStart = 8 + Number(headerLength);
    if (dataStart > size) throw damaged(file, `its header should end at byte ${dataStart}, but the file has ${size}`);
    const text = (await readExactly(handle, 8, Number(headerLength), file, "the header")).toString("utf8");
    const { tensors, metadata } = parseHeader(file, text, size - dataStart);
    return new SafetensorsFile(file, handle, dataStart, tensors, metadata);
  }

  private constructor(
    file: string,
    handle: FileHandle,
    dataStart: number,
    tensors: Map<string, TensorEntry>,
    metadata: Record<string, string>,
  ) {
    this.file = file;
    this.#handle = handle;
    this.#dataStart = dataStart;
    this.tensors = tensors;
    this.metadata = metadata;
  }

  /** Why a tensor cannot be read, or undefined when it can. */
  unreadable(name: string): UserError | undefined {
    const dtype = this.tensors.get(name)?.dtype ?? "";
    if (isFloatType(dtype)) return undefined;
    return new UserError(
      `${this.file}: tensor "${name}" is of type ${dtype}, but only ${floatTypes.join(", ")} can be read. ` +
        "Convert the file, for example with model.float().save_pretrained(…) in Python.",
    );
  }

  /**
   * Reads one tensor as float32, into `target` where it is given.
   * @throws UserError when the tensor is absent, not of a float type or not of the target's length, or is cut off
   */
  async read(name: string, target?: Float32Array): Promise<Float32Array> {
    const entry = this.tensors.get(name);
    if (!entry) throw damaged(this.file, `it has no tensor "${name}"`);
    const problem = this.unreadable(name);
    if (problem) throw problem;
    const count = (entry.end - entry.begin) / bytesOf[entry.dtype];
    const values = target ?? new Float32Array(count);
    if (values.length !== count) {
      throw new UserError(
        `${this.file}: tensor "${name}" has ${count} numbers, but ${values.length} are expected. ` +
          "The file belongs to another model; take the one that was written with it.",
      );
    }
    const perChunk = chunkBytes / bytesOf[entry.dtype];
    for (let done = 0; done < count; done += perChunk)
      await this.#readPart(name, entry, done, values.subarray(done, Math.min(count, done + perChunk)));
    return values;
  }

  /**
   * Whether a tensor holds the very numbers of another one, perhaps of another file and type. Both are read in pieces, up to the first difference.
   * @throws UserError as `read` does
   */
  async holdsSame(name: string, other: SafetensorsFile, otherName: string): Promise<boolean> {
    const [own, theirs] = [this.tensors.get(name), other.tensors.get(otherName)];
    if (!own || !theirs || own.shape.join() !== theirs.shape.join()) return false;
    const problem = this.unreadable(name) ?? other.unreadable(otherName);
    if (problem) throw problem;
    const count = elementCount(own.shape);
    const pieces = [0, 1].map(() => new Float32Array(Math.min(count, chunkBytes / 2)));
    for (let done = 0; done < count; done += pieces[0].length) {
      const [a, b] = pieces.map((piece) => piece.subarray(0, Math.min(piece.length, count - done)));
      await this.#readPart(name, own, done, a);
      await other.#readPart(otherName, theirs, done, b);
      if (a.some((value, index) => value !== b[index])) return false;
    }
    return true;
  }

  /** Numbers of a tensor as float32, from its number `from` until `part` is full. */
  async #readPart(name: string, { dtype, begin }: TensorEntry, from: number, part: Float32Array): Promise<void> {
    const onEnd = () => damaged(this.file, `it ends in the middle of tensor "${name}"`);
    const position = this.#dataStart + begin + from * bytesOf[dtype];
    if (dtype === "F32") {
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      await readInto(this.#handle, bytes, position, onEnd);
      return;
    }
    const bits = new Uint16Array(part.length);
    await readInto(this.#handle, new Uint8Array(bits.buffer), position, onEnd);
    if (dtype === "F16") float16ToFloat32(bits, part);
    else bfloat16ToFloat32(bits, part);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The tensors of a store, to be written; `prefix` goes before their names. */
export function namedTensors(store: ParameterStore, prefix = ""): NamedTensor[] {
  return store.shapes.map(({ name, shape }) => ({ name: prefix + name, shape, data: parameter(store, name) }));
}

/** Settings of a file to write. */
interface WriteOptions {
  /** Type of the stored numbers; F32 (the default) loses nothing. */
  dtype?: FloatType;
  metadata?: Record<string, string>;
}

/**
 * Writes tensors in the given order, converted to `dtype`. The file is flushed but not written atomically: for that, write into a temporary
 * folder and rename it.
 */
export async function writeSafetensors(
  file: string,
  tensors: readonly NamedTensor[],
  options: WriteOptions = {},
): Promise<void> {
  const byName = new Map(tensors.map(({ name, data }) => [name, data]));
  await streamSafetensors(file, tensors, (name) => Promise.resolve(byName.get(name) as Float32Array), options);
}

/** The same for tensors that are not in memory: `read` is asked for one after the other, in the given order. */
export async function streamSafetensors(
  file: string,
  tensors: readonly Omit<NamedTensor, "data">[],
  read: (name: string) => Promise<Float32Array>,
  options: WriteOptions = {},
): Promise<void> {
  const dtype = options.dtype ?? "F32";
  const header: Record<string, unknown> = {};
  if (options.metadata) header.__metadata__ = options.metadata;
  let offset = 0;
  for (const { name, shape } of tensors) {
    if (name in header) throw new Error(`internal: two tensors named ${name}`);
    const end = offset + elementCount(shape) * bytesOf[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const handle = await open(file, "w");
  try {
    await handle.writeFile(encodeHeader(header));
    for (const { name, shape } of tensors) {
      const data = await read(name);
      if (data.length !== elementCount(shape))
        throw new Error(`internal: ${data.length} numbers for ${name} of [${shape.join(", ")}]`);
      await writeValues(handle, data, dtype);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function encodeHeader(header: Record<string, unknown>): Uint8Array {
  const text = Buffer.from(JSON.stringify(header));
  // Spaces behind the JSON bring the numbers to a multiple of eight bytes.
  const bytes = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, " ");
  bytes.writeBigUInt64LE(BigInt(bytes.length - 8));
  text.copy(bytes, 8);
  return bytes;
}

async function writeValues(handle: FileHandle, data: Float32Array, dtype: FloatType): Promise<void> {
  const perChunk = chunkBytes / bytesOf[dtype];
  for (let done = 0; done < data.length; done += perChunk) {
    const part = data.subarray(done, Math.min(data.length, done + perChunk));
    if (dtype === "F32") {
      await handle.writeFile(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
      continue;
    }
    const bits = new Uint16Array(part.length);
    if (dtype === "F16") float32ToFloat16(part, bits);
    else float32ToBfloat16(part, bits);
    await handle.writeFile(new Uint8Array(bits.buffer));
  }
}

function parseHeader(
  file: string,
  text: string,
  dataLength: number,
): { tensors: Map<string, TensorEntry>; metadata: Record<string, string> } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw damaged(file, `its header is not valid JSON (${(error as Error).message})`);
  }
  const header = headerSchema.safeParse(json);
  if (!header.success) throw damaged(file, "its header is not a JSON object");
  const { __metadata__, ...entries } = header.data;
  const metadata = z.record(z.string(), z.string()).safeParse(__metadata__ ?? {});
  if (!metadata.success) throw damaged(file, "the header's __metadata__ is not a map of strings");
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(entries)) tensors.set(name, parseEntry(file, name, value));
  checkPlaces(file, tensors, dataLength);
  return { tensors, metadata: metadata.data };
}

function parseEntry(file: string, name: string, value: unknown): TensorEntry {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    throw damaged(file, `the header's entry for tensor "${name}" is malformed (${z.prettifyError(parsed.error)})`);
  }
  const { dtype, shape, data_offsets } = parsed.data;
  const [begin, end] = data_offsets;
  const bytes = bytesOf[dtype];
  if (bytes === undefined) throw damaged(file, `tensor "${name}" is of the unknown type ${dtype}`);
  const expected = elementCount(shape) * bytes;
  if (end - begin !== expected) {
    throw damaged(
      file,
      `tensor "${name}" is ${dtype} [${shape.join(", ")}], which takes ${expected} bytes, but has ${end - begin}`,
    );
  }
  return { dtype, shape, begin, end };
}

/** Tensors must fill the data exactly: no overlap, no gap, nothing beyond the end of the file. */
function checkPlaces(file: string, tensors: ReadonlyMap<string, TensorEntry>, dataLength: number): void {
  const sorted = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const [name, entry] of sorted) {
    if (entry.begin < end) throw damaged(file, `tensor "${name}" overlaps another one`);
    if (entry.begin > end) throw damaged(file, `there is a gap of ${entry.begin - end} bytes before tensor "${name}"`);
    end = entry.end;
    if (end > dataLength) throw damaged(file, `tensor "${name}" is cut off: ${end - dataLength} bytes are missing`);
  }
  if (end < dataLength) throw damaged(file, `${dataLength - end} bytes at its end belong to no tensor`);
}

function isFloatType(dtype: string): dtype is FloatType {
  return (floatTypes as readonly string[]).includes(dtype);
}

async function readExactly(
  handle: FileHandle,
  start: number,
  length: number,
  file: string,
  what: string,
): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await readInto(handle, bytes, start, () => damaged(file, `it ends in the middle of ${what}`));
  return bytes;
}

function damaged(file: string, reason: string): UserError {
  return new UserError(`${file} is damaged or no safetensors file: ${reason}. Download or write it again.`);
}
