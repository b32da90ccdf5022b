/**
 * @file Frozen weights as float32 in one temporary file, which the runtime maps into memory: sessions share it, and a model that came as
 * bfloat16 or GGUF is converted once. Tensors pass through one by one, so memory stays at the largest of them.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { UserError } from "../../errors.js";
import type { StoredData } from "../graph/ops.js";
import { writeError } from "../../files/durable.js";
import { isRunning } from "../../files/lock.js";
import { elementCount, parameterShapes } from "../model/parameters.js";
import type { ModelSource } from "./tensor-set.js";

/** Offsets are multiples of this (a cache line), as vector instructions like it. */
const alignment = 64;
const prefix = "sleuth-weights-";
const tmpdirAdvice =
  "Make room there, or set the environment variable TMPDIR (TEMP on Windows) to a folder on a larger disk that you may write to.";
const owned = new RegExp(`^${prefix}(\\d+)-`);

/** All parameters of a model on disk. */
interface FrozenWeights {
  tensors: ReadonlyMap<string, StoredData>;
  /** Deletes the file; sessions that have mapped it keep what they have (not on Windows, where it is left for the next start). */
  remove(): void;
}

/**
 * Writes the model's parameters into a folder of this process below the system's temporary one (`TMPDIR` moves it).
 * @throws UserError when there is no room, and as `ModelSource.read` does; nothing is left behind then
 */
export async function freezeWeights(source: ModelSource): Promise<FrozenWeights> {
  removeFoldersOf((owner) => !isRunning(owner));
  const folder = makeFolder(source);
  const remove = (): void => removeFolder(folder);
  try {
    return { tensors: await writeAll(source, path.join(folder, "weights.f32")), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

async function writeAll(source: ModelSource, file: string): Promise<Map<string, StoredData>> {
  const tensors = new Map<string, StoredData>();
  const handle = await open(file, "w");
  try {
    let offset = 0;
    for (const { name, shape } of parameterShapes(source.config)) {
      const values = await source.read(name);
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
        done += bytesWritten;
      }
      tensors.set(name, { file, offset, length: elementCount(shape) });
      offset = Math.ceil((offset + bytes.length) / alignment) * alignment;
    }
    return tensors;
  } catch (error) {
    const bytes = parameterShapes(source.config).reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    const what = `the weights of ${source.location} as float32 (${Math.ceil(bytes / 1e6)} MB)`;
    throw writeError(`${what} in ${path.dirname(file)}`, error, tmpdirAdvice);
  } finally {
    await handle.close();
  }
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
