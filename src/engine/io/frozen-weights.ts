/**
 * @file Frozen weights as float32 or 8-bit numbers in one temporary file, which the runtime maps into memory: sessions share it, and a model that
 * came as bfloat16 or GGUF is converted once. Tensors pass through one by one, so memory stays at the largest of them.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { UserError } from "../../errors.js";
import type { StoredData } from "../graph/ops.js";
import { writeError } from "../../files/durable.js";
import { isRunning } from "../../files/lock.js";
import {
  headInput,
  linearInputs,
  linearWeights,
  type ChannelRanges,
  type Int8Base,
  type Int8HeadWeights,
  type Int8Layers,
} from "../model/int8.js";
import { elementCount, parameterShapes } from "../model/parameters.js";
import { columnsOf, dequantise, quantise, type QuantisedMatrix } from "../int8/quantise.js";
import { headChunks } from "../model/head.js";
import type { ModelSource } from "./tensor-set.js";

/** Offsets are multiples of this (a cache line), as vector instructions like it. */
const alignment = 64;
const prefix = "sleuth-weights-";
const tmpdirAdvice =
  "Make room there, or set the environment variable TMPDIR (TEMP on Windows) to a folder on a larger disk that you may write to.";
const owned = new RegExp(`^${prefix}(\\d+)-`);

/** All parameters of a model on disk. */
export interface FrozenWeights {
  tensors: ReadonlyMap<string, StoredData>;
  /** The linear layers in 8 bits, where they were asked for, in place of their tensors. */
  int8?: Int8Base;
  /** Deletes the file; sessions that have mapped it keep what they have (not on Windows, where it is left for the next start). */
  remove(): void;
}

/**
 * Writes the model's parameters into a folder of this process below the system's temporary one (`TMPDIR` moves it).
 * @param ranges how large the inputs of linear layers get: then these become 8-bit numbers, and all else float32
 * @throws UserError when there is no room, and as `ModelSource.read` does; nothing is left behind then
 */
export async function freezeWeights(source: ModelSource, ranges?: ChannelRanges): Promise<FrozenWeights> {
  removeFoldersOf((owner) => !isRunning(owner));
  const folder = makeFolder(source);
  const remove = (): void => removeFolder(folder);
  try {
    return { ...(await writeAll(source, path.join(folder, "weights"), ranges)), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

async function writeAll(
  source: ModelSource,
  name: string,
  ranges: ChannelRanges | undefined,
): Promise<Omit<FrozenWeights, "remove">> {
  const file = await WeightFile.create(name);
  try {
    const quantised = ranges && (await quantiseAll(source, ranges, (data) => file.add(data)));
    const tensors = new Map(quantised?.tensors);
    const inInt8 = new Set(quantised ? linearWeights(source.config) : []);
    for (const { name } of parameterShapes(source.config)) {
      if (tensors.has(name) || inInt8.has(name)) continue;
      tensors.set(name, await file.add(await source.read(name)));
    }
    return { tensors, int8: quantised?.int8 };
  } catch (error) {
    const bytes = parameterShapes(source.config).reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    const what = `the weights of ${source.location} (${Math.ceil(bytes / 1e6)} MB as float32)`;
    throw writeError(`${what} in ${path.dirname(name)}`, error, tmpdirAdvice);
  } finally {
    await file.close();
  }
}

/** Numbers one after the other, each array at a multiple of `alignment`. */
class WeightFile {
  readonly #file: string;
  readonly #handle: FileHandle;
  #offset = 0;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  static async create(file: string): Promise<WeightFile> {
    return new WeightFile(file, await open(file, "w"));
  }

  async add(values: Float32Array | Int8Array): Promise<StoredData> {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const offset = this.#offset;
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, offset + done);
      done += bytesWritten;
    }
    this.#offset = Math.ceil((offset + bytes.length) / alignment) * alignment;
    const stored = { file: this.#file, offset, length: values.length };
    return values instanceof Int8Array ? { ...stored, dtype: "int8" } : stored;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

type Adding = (values: Float32Array | Int8Array) => Promise<StoredData>;

/** One input's layers at a time, so that memory stays at the largest of them. */
async function quantiseAll(source: ModelSource, ranges: ChannelRanges, add: Adding) {
  const { config } = source;
  const layers = new Map<string, Int8Layers>();
  for (const { modules, width, wideCount } of linearInputs(config)) {
    const matrices: Float32Array[] = [];
    for (const module of modules) matrices.push(await source.read(`${module}.weight`));
    const matrix = quantise(matrices, rangesOf(ranges, modules[0], width), wideCount);
    const { weight, ...rest } = await addMatrix(matrix, add);
    layers.set(modules[0], {
      ...rest,
      weight: { ...weight, transposed: await add(matrix.weight) },
      modules: modules.map((module, place) => ({ module, outputs: matrices[place].length / width })),
    });
  }
  const { input, wideCount, tensor } = headInput(config);
  const range = rangesOf(ranges, input, config.hiddenSize);
  const matrix = quantise([await source.read(tensor)], range, wideCount);
  const chunks: StoredData[] = [];
  for (const { start, end } of headChunks(config.vocabSize)) chunks.push(await add(columnsOf(matrix, start, end)));
  const restoring = await add(matrix.factors.map((factor) => (factor === 0 ? 0 : 1 / factor)));
  const head: Int8HeadWeights = { ...(await addMatrix(matrix, add)), restoring, chunks };
  const table = await add(dequantise(matrix));
  return { int8: { layers, ranges, head }, tensors: new Map([[tensor, table]]) };
}

async function addMatrix(matrix: QuantisedMatrix, add: Adding) {
  const { factors, wide, scale, wideColumns } = matrix;
  const weight = await add(columnsOf(matrix));
  return { factors: await add(factors), wide, weight, scale: await add(scale), wideColumns };
}

function rangesOf(ranges: ChannelRanges, input: string, width: number): Float32Array {
  const range = ranges.get(input);
  if (range?.length !== width) throw new Error(`internal: the input of ${input} has no known ranges`);
  return range;
}

/** Deletes what this process has written, on all of its threads: for its end, when models may still be open. */
export function removeFrozenWeights(): void {
  removeFoldersOf((owner) => owner === process.pid);
}

function makeFolder({ location }: ModelSource): string {
  try {
    return mkdtempSync(path.join(tmpdir(), `${prefix}${process.pid}-`));
  } catch (error) {
    throw new UserError(
      `The weights of ${location} need a temporary folder, and there can be none in ${tmpdir()}: ${(error as Error).message}. ` +
        tmpdirAdvice,
      { cause: error },
    );
  }
}

function removeFoldersOf(isMeant: (owner: number) => boolean): void {
  for (const name of namesIn(tmpdir())) {
    const owner = owned.exec(name)?.[1];
    if (owner !== undefined && isMeant(Number(owner))) removeFolder(path.join(tmpdir(), name));
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 2 });
  } catch {
    // Another user's, or still mapped (Windows). The next start of a process that may delete it does so.
  }
}
