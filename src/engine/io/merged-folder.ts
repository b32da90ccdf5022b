/**
 * @file A model's weights as other tools open them: `config.json` and safetensors, with an adapter merged in. Tensors pass through one by
 * one, so memory stays at the largest of them. Weights beyond a size go into several files with an index, as Hugging Face does it.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../errors.js";
import { mergeInto, type Adapter } from "../model/lora.js";
import { elementCount, parameterShapes, type ParameterShape } from "../model/parameters.js";
import { toConfigJson } from "./config-json.js";
import type { ModelSource } from "./tensor-set.js";
import { type FloatType, streamSafetensors } from "./safetensors.js";
import { configFile, indexFile, weightsFile } from "./safetensors-set.js";

const numberBytes: Record<FloatType, number> = { F32: 4, F16: 2, BF16: 2 };
/** Hugging Face's own limit for one file. */
const largestShardBytes = 5e9;
const largestFloat16 = 65504;

interface MergedFolderOptions {
  source: ModelSource;
  /** Merged into the weights where it is given. */
  adapter?: Adapter;
  /** Type of the stored weights; F32 (the default) loses nothing. */
  dtype?: FloatType;
  /** Weights that take more are divided among several files. */
  shardBytes?: number;
  /** Bytes of weights written so far, and in all. */
  onProgress?: (done: number, total: number) => void;
  /** Ends the work between two tensors. */
  signal?: AbortSignal;
}

/**
 * Writes `config.json` and the weights, without a tokenizer. Not atomic by itself: the caller writes into a temporary folder.
 * @returns the bytes of all weights
 * @throws UserError as `ModelSource.read` does, and when a weight does not fit into the type
 */
export async function saveMergedFolder(folder: string, options: MergedFolderOptions): Promise<number> {
  const { source, adapter, dtype = "F32", shardBytes = largestShardBytes, onProgress, signal } = options;
  const shapes = parameterShapes(source.config);
  const counts = new Map(shapes.map(({ name, shape }) => [name, elementCount(shape)]));
  const sizeOf = (name: string): number => numberBytes[dtype] * (counts.get(name) as number);
  const total = shapes.reduce((sum, { name }) => sum + sizeOf(name), 0);
  await mkdir(folder, { recursive: true });
  const json = toConfigJson(source.config, dtype);
  await writeFile(path.join(folder, configFile), `${JSON.stringify(json, null, 2)}\n`);
  const room = new Float32Array(Math.max(...counts.values()));
  let done = 0;
  const read = async (name: string): Promise<Float32Array> => {
    signal?.throwIfAborted();
    onProgress?.(done, total);
    const weight = await source.read(name, room.subarray(0, counts.get(name)));
    if (adapter) mergeInto(weight, name, adapter);
    checkRange(weight, name, dtype);
    done += sizeOf(name);
    return weight;
  };
  const shards = inShards(shapes, sizeOf, shardBytes);
  const files = shards.map((_, index) => shardName(index, shards.length));
  for (const [index, shard] of shards.entries()) {
    await streamSafetensors(path.join(folder, files[index]), shard, read, { dtype, metadata: { format: "pt" } });
  }
  if (shards.length > 1) {
    const places = shards.flatMap((shard, index) => shard.map(({ name }) => [name, files[index]]));
    const listing = { metadata: { total_size: total }, weight_map: Object.fromEntries(places) };
    await writeFile(path.join(folder, indexFile), `${JSON.stringify(listing, null, 2)}\n`);
  }
  onProgress?.(total, total);
  return total;
}

/** Consecutive tensors of at most `most` bytes together; a larger one stands alone. */
function inShards(
  shapes: readonly ParameterShape[],
  sizeOf: (name: string) => number,
  most: number,
): ParameterShape[][] {
  const shards: ParameterShape[][] = [];
  let room = 0;
  for (const shape of shapes) {
    const size = sizeOf(shape.name);
    if (shards.length === 0 || size > room) {
      shards.push([]);
      room = most;
    }
    shards[shards.length - 1].push(shape);
    room -= size;
  }
  return shards;
}

/** `model.safetensors`, or `model-00002-of-00003.safetensors`. */
function shardName(index: number, count: number): string {
  if (count === 1) return weightsFile;
  const padded = (value: number): string => String(value).padStart(5, "0");
  return weightsFile.replace(".", `-${padded(index + 1)}-of-${padded(count)}.`);
}

/** Float16 ends where the other two go on. */
function checkRange(weight: Float32Array, name: string, dtype: FloatType): void {
  if (dtype !== "F16") return;
  const bad = weight.findIndex((value) => Math.abs(value) > largestFloat16);
  if (bad < 0) return;
  throw new UserError(
    `The weight ${bad} of "${name}" is ${weight[bad]}, but float16 ends at ${largestFloat16}. Store the model as bf16 or f32.`,
  );
}
