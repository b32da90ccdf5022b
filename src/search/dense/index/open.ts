/** @file Opens a dense index folder: the vectors go to the worker, passages stay on disk. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { PassageFile, SegmentedPassages } from "../../passages.js";
import type { EncoderSource } from "../encoder.js";
import { ExactPassages, type ExactOptions } from "../exact/exact-passages.js";
import { damaged, fileNames, readManifest, remedy, type DenseManifest, type FileName } from "./format.js";

export interface DenseIndex {
  nearest: ExactPassages;
  /** What opens the encoder that made the vectors; undefined where that was not recorded. */
  encoderSource: EncoderSource | undefined;
}

/**
 * Opens an index for searching. Sizes of all files and the hashes of everything held in memory are checked; passages are checked as they
 * are read.
 * @param given the folder, or one with the index in its folder `dense`
 * @throws UserError naming the file when the index is missing, half-written, damaged, of another version or kind
 */
export async function openDenseIndex(given: string, options: ExactOptions = {}): Promise<DenseIndex> {
  const { folder, manifest } = await readManifest(given);
  try {
    return await openGeneration(folder, manifest, options);
  } catch (error) {
    // A new index may have taken the place of this one between its manifest and its files.
    const current = await readManifest(given);
    if (current.manifest.generation === manifest.generation) throw error;
    return openGeneration(current.folder, current.manifest, options);
  }
}

async function openGeneration(folder: string, manifest: DenseManifest, options: ExactOptions): Promise<DenseIndex> {
  const { files, dimensions, encoder, encoderSource } = manifest;
  const placeOf = (name: FileName): string => join(folder, manifest.generation, name);
  const read = async (name: FileName): Promise<ArrayBuffer> => {
    const place = placeOf(name);
    await checkSize(folder, place, files[name].bytes);
    const content = await readFile(place);
    if (createHash("sha256").update(content).digest("hex") !== files[name].sha256)
      throw damaged(place, "its content has changed", folder);
    // A buffer of its own, whose numbers begin where they must.
    return new Uint8Array(content).buffer;
  };
  const offsets = new Float64Array(await read(fileNames.passageOffsets));
  const checks = new Uint32Array(await read(fileNames.passageChecks));
  await checkSize(folder, placeOf(fileNames.passages), files[fileNames.passages].bytes);
  await checkSize(folder, placeOf(fileNames.vectors), files[fileNames.vectors].bytes);
  const file = await PassageFile.open(placeOf(fileNames.passages), offsets, checks);
  const passages = new SegmentedPassages([file], [undefined]);
  try {
    const place = { file: placeOf(fileNames.vectors), ...files[fileNames.vectors], remedy: remedy(folder) };
    const nearest = await ExactPassages.open({ passages, place, dimensions, encoder }, options);
    return { nearest, encoderSource };
  } catch (error) {
    await passages.close();
    throw error;
  }
}

async function checkSize(folder: string, path: string, bytes: number): Promise<void> {
  const size = await stat(path).then(
    (stats) => stats.size,
    (cause: { code?: string }) => {
      throw damaged(path, `it cannot be read (${cause.code})`, folder, cause);
    },
  );
  if (size !== bytes) throw damaged(path, `it has ${size} bytes where ${bytes} were written`, folder);
}
