/** @file Opens a dense index folder: the vectors go to the worker, passages stay on disk. */
import { join } from "node:path";
import { checkSize, readChecksummed } from "../../../files/checksummed-file.js";
import { areOffsets } from "../../index-folder.js";
import { engineOf, enginesIn } from "../../locate-index.js";
import { PassageFile, SegmentedPassages, type PassageSource } from "../../passages.js";
import type { EncoderSource } from "../encoder.js";
import { ExactPassages, type ExactOptions } from "../exact/exact-passages.js";
import { denseIndex, fileNames, readDenseManifest, type DenseManifest, type FileName } from "./format.js";

export interface DenseIndex {
  nearest: ExactPassages;
  /** The passages themselves, which close with `nearest`. */
  passages: PassageSource;
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

/** The manifest of an index folder, or of the folder `dense` in it, with the folder that it lies in. */
async function readManifest(given: string): Promise<{ folder: string; manifest: DenseManifest }> {
  const isInside = (await engineOf(given)) !== "dense" && (await enginesIn(given)).includes("dense");
  const folder = isInside ? join(given, "dense") : given;
  return { folder, manifest: await readDenseManifest(folder) };
}

async function openGeneration(folder: string, manifest: DenseManifest, options: ExactOptions): Promise<DenseIndex> {
  const { files, dimensions, encoder, encoderSource } = manifest;
  const placeOf = (name: FileName): string => join(folder, manifest.generation, name);
  const damaged = denseIndex.damagedIn(folder);
  const read = (name: FileName): Promise<SharedArrayBuffer> => readChecksummed(placeOf(name), files[name], damaged);
  const offsets = new Float64Array(await read(fileNames.passageOffsets));
  const checks = new Uint32Array(await read(fileNames.passageChecks));
  if (!areOffsets(offsets, files[fileNames.passages].bytes))
    throw damaged(placeOf(fileNames.passageOffsets), "its offsets do not fit");
  for (const name of [fileNames.passages, fileNames.vectors])
    await checkSize(placeOf(name), files[name].bytes, damaged);
  const file = await PassageFile.open(placeOf(fileNames.passages), offsets, checks);
  const passages = new SegmentedPassages([file], [undefined]);
  try {
    const vectors = {
      file: placeOf(fileNames.vectors),
      ...files[fileNames.vectors],
      remedy: denseIndex.remedy(folder),
    };
    const nearest = await ExactPassages.open({ passages, vectors, dimensions, encoder }, options);
    return { nearest, passages, encoderSource };
  } catch (error) {
    await passages.close();
    throw error;
  }
}
