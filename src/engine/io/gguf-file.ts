/**
 * @file The GGUF format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): metadata, places of tensors, then packed
 * numbers. Metadata is read at once; tensors are read one by one and unpacked in pieces, so memory stays at what the caller holds.
 */
import type { FileHandle } from "node:fs/promises";
import { gguf, GGMLQuantizationType, type GGUFParseOutput } from "@huggingface/gguf";
import { UserError } from "../../errors.js";
import { elementCount } from "../model/parameters.js";
import { blockTypes, type BlockType } from "./gguf-blocks.js";
import { openToRead, readInto } from "../../files/read-into.js";

/** Bytes unpacked at a time. */
const pieceBytes = 1 << 20;

/** A tensor of the file, in the layout of Hugging Face: `[out, in]`, rows one after another. */
interface GgufTensor {
  type: BlockType;
  shape: number[];
  /** Bytes [begin, end) of the file. */
  begin: number;
  end: number;
}

/** What stands before the numbers: the metadata, and where each tensor is. */
export interface GgufHeader {
  readonly file: string;
  readonly fields: GgufFields;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** An open file whose metadata and tensor places have been checked. Close it. */
export class GgufFile implements GgufHeader {
  readonly file: string;
  readonly fields: GgufFields;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #handle: FileHandle;

  /** @throws UserError when the file is missing, truncated, malformed or of a kind that is not supported */
  static async open(file: string): Promise<GgufFile> {
    const handle = await openToRead(file);
    try {
      const { size } = await handle.stat();
      const { fields, tensors } = checkedHeader(file, await parse(file, handle, size), size);
      return new GgufFile(file, handle, fields, tensors);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  private constructor(file: string, handle: FileHandle, fields: GgufFields, tensors: Map<string, GgufTensor>) {
    this.file = file;
    this.#handle = handle;
    this.fields = fields;
    this.tensors = tensors;
  }

  /**
   * Reads one tensor as float32, into `target` where it is given.
   * @param placeRow where a stored row belongs, for tensors whose rows stand in another order
   */
  async read(name: string, target?: Float32Array, placeRow?: (row: number) => number): Promise<Float32Array> {
    const tensor = this.tensors.get(name);
    if (!tensor) throw damaged(this.file, `it has no tensor "${name}"`);
    const { type, shape } = tensor;
    const count = elementCount(shape);
    const values = target ?? new Float32Array(count);
    if (values.length !== count)
      throw new Error(`internal: ${values.length} places for the ${count} numbers of ${name}`);
    const width = shape[shape.length - 1] ?? 1;
    const rowBytes = (width / type.values) * type.bytes;
    const rows = count / width;
    const perPiece = Math.max(1, Math.floor(pieceBytes / rowBytes));
    const packed = new Uint8Array(Math.min(rows, perPiece) * rowBytes);
    const piece = placeRow && new Float32Array(Math.min(rows, perPiece) * width);
    for (let row = 0; row < rows; row += perPiece) {
      const some = Math.min(perPiece, rows - row);
      const bytes = packed.subarray(0, some * rowBytes);
      await readInto(this.#handle, bytes, tensor.begin + row * rowBytes, () =>
        damaged(this.file, `it ends in the middle of tensor "${name}"`),
      );
      if (!piece || !placeRow) {
        type.unpack(bytes, values.subarray(row * width, (row + some) * width));
        continue;
      }
      type.unpack(bytes, piece.subarray(0, some * width));
      for (let index = 0; index < some; index++)
        values.set(piece.subarray(index * width, (index + 1) * width), placeRow(row + index) * width);
    }
    return values;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/**
 * The header of a file that is elsewhere.
 * @param file names it in messages
 * @param size of the whole file in bytes
 * @param fetch asked for ranges from the file's beginning on
 * @returns undefined where it cannot be read
 * @throws UserError when it is damaged or of a kind that is not supported
 */
export async function readGgufHeader(
  url: string,
  file: string,
  size: number,
  fetch: typeof globalThis.fetch,
): Promise<GgufHeader | undefined> {
  let parsed: Parsed;
  try {
    parsed = (await gguf(url, { fetch })) as unknown as Parsed;
  } catch {
    return undefined;
  }
  return checkedHeader(file, parsed, size);
}

/** The metadata, by key, each value of the kind that is asked for. */
export class GgufFields {
  readonly file: string;
  readonly #metadata: Readonly<Record<string, unknown>>;

  constructor(file: string, metadata: Readonly<Record<string, unknown>>) {
    this.file = file;
    this.#metadata = metadata;
  }

  /** The fields below `prefix` whose values are there and not 0, false or "none". */
  given(prefix: string): string[] {
    return Object.entries(this.#metadata)
      .filter(([key, value]) => key.startsWith(prefix) && ![0, 0n, false, "", "none"].includes(value as number))
      .map(([key]) => key);
  }

  string(key: string): string | undefined {
    return this.#get(key, "text", (value) => (typeof value === "string" ? value : undefined));
  }

  boolean(key: string): boolean | undefined {
    return this.#get(key, "true or false", (value) => (typeof value === "boolean" ? value : undefined));
  }

  number(key: string): number | undefined {
    return this.#get(key, "a number", toNumber);
  }

  /** A whole number ≥ 0. */
  count(key: string): number | undefined {
    return this.#get(key, "a whole number", (value) => {
      const number = toNumber(value);
      return number !== undefined && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
    });
  }

  strings(key: string): string[] | undefined {
    return this.#get(key, "a list of texts", (value) =>
      Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined,
    );
  }

  numbers(key: string): number[] | undefined {
    return this.#get(key, "a list of numbers", (value) => {
      const numbers = Array.isArray(value) ? value.map(toNumber) : [undefined];
      return numbers.includes(undefined) ? undefined : (numbers as number[]);
    });
  }

  /** A value that must be there. */
  required<K extends "string" | "number" | "count" | "strings" | "numbers">(
    key: string,
    kind: K,
  ): NonNullable<ReturnType<GgufFields[K]>> {
    const value = this[kind](key) as ReturnType<GgufFields[K]>;
    if (value !== undefined) return value as NonNullable<typeof value>;
    throw new UserError(
      `${this.file} lacks the metadata field "${key}". Take a GGUF file made by llama.cpp's converter.`,
    );
  }

  problem(key: string, text: string): UserError {
    return new UserError(`${this.file}, metadata field "${key}": ${text}`);
  }

  damaged(key: string, text: string): UserError {
    return this.problem(key, `${text}. The file is damaged; download it again.`);
  }

  #get<T>(key: string, kind: string, convert: (value: unknown) => T | undefined): T | undefined {
    const value = this.#metadata[key];
    if (value === undefined) return undefined;
    const converted = convert(value);
    if (converted === undefined) throw this.damaged(key, `it is not ${kind}`);
    return converted;
  }
}

function toNumber(value: unknown): number | undefined {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" ? value : undefined;
}

type Parsed = GGUFParseOutput<{ strict: false }>;

async function parse(file: string, handle: FileHandle, size: number): Promise<Parsed> {
  const magic = new Uint8Array(4);
  if (size >= 4) await readInto(handle, magic, 0, () => damaged(file, "it ends in its first four bytes"));
  if (Buffer.from(magic).toString("latin1") !== "GGUF") throw damaged(file, 'it does not begin with "GGUF"');
  let parsed: Parsed;
  try {
    parsed = (await gguf(file, { allowLocalFile: true })) as unknown as Parsed;
  } catch (error) {
    throw damaged(file, `its metadata cannot be read (${(error as Error).message})`, error);
  }
  return parsed;
}

function checkedHeader(
  file: string,
  parsed: Parsed,
  size: number,
): { file: string; fields: GgufFields; tensors: Map<string, GgufTensor> } {
  // What lies beyond the end of a file reads as zeros.
  if (parsed.tensorInfoByteRange[1] > size) throw damaged(file, `it ends at byte ${size}, inside its metadata`);
  if (!parsed.littleEndian) {
    throw new UserError(
      `${file} is written for big-endian machines, which is not supported. Take the little-endian file.`,
    );
  }
  const pieces = toNumber(parsed.metadata["split.count"]) ?? 1;
  if (pieces > 1) {
    throw new UserError(
      `${file} is one of ${pieces} pieces of a model (metadata field "split.count"), which is not supported. ` +
        "Join them first: llama-gguf-split --merge FIRST-PIECE OUTPUT.gguf.",
    );
  }
  return { file, fields: new GgufFields(file, parsed.metadata), tensors: placeTensors(file, parsed, size) };
}

function placeTensors(file: string, { tensorInfos, tensorDataOffset }: Parsed, size: number): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const { name, shape, dtype, offset } of tensorInfos) {
    if (tensors.has(name)) throw damaged(file, `it has two tensors named "${name}"`);
    const type = blockTypes.get(dtype);
    if (!type) {
      const known = GGMLQuantizationType[dtype] as string | undefined;
      throw new UserError(
        `${file}: tensor "${name}" is of type ${known ?? `number ${dtype}`}, which cannot be read. Supported are ` +
          `${[...blockTypes.values()].map((supported) => supported.name).join(", ")}: take a file quantized to one of these, for example Q8_0.`,
      );
    }
    // The file counts from the fastest axis.
    const sizes = shape.map(Number).reverse();
    const width = sizes[sizes.length - 1] ?? 1;
    if (sizes.includes(0) || width % type.values !== 0) {
      throw damaged(file, `tensor "${name}" of type ${type.name} has the impossible shape [${sizes.join(", ")}]`);
    }
    const begin = Number(tensorDataOffset + offset);
    const end = begin + (elementCount(sizes) / type.values) * type.bytes;
    if (end > size) {
      throw damaged(file, `tensor "${name}" should end at byte ${end}, but the file has ${size}: it is cut off`);
    }
    tensors.set(name, { type, shape: sizes, begin, end });
  }
  checkOverlaps(file, tensors);
  return tensors;
}

function checkOverlaps(file: string, tensors: ReadonlyMap<string, GgufTensor>): void {
  let end = 0;
  for (const [name, tensor] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin)) {
    if (tensor.begin < end) throw damaged(file, `tensor "${name}" overlaps another one`);
    end = tensor.end;
  }
}

function damaged(file: string, reason: string, cause?: unknown): UserError {
  return new UserError(`${file} is damaged or no GGUF file: ${reason}. Download it again.`, { cause });
}
