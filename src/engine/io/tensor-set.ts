/**
 * @file A pretrained model before any of it is in memory: named tensors wherever they are stored, the check that they are exactly the
 * parameters of a model, and the opened model itself.
 */
import { nearest, UserError } from "../../errors.js";
import type { ModelConfig } from "../model/config.js";
import { parameterShapes } from "../model/parameters.js";
import type { TokenizerFiles } from "./tokenizer-files.js";

/** A tensor's place before it is read. */
export interface StoredTensor {
  file: string;
  shape: readonly number[];
  /** Why its numbers cannot be read, where they cannot. */
  unreadable?: UserError;
}

/** The tensors of a model, in one file or several, under Hugging Face's names. Close it. */
export interface TensorSet {
  /** The file that describes them, for messages. */
  readonly described: string;
  readonly location: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  read(name: string, target?: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * A model that was opened and checked: every parameter that `config` calls for is there, in its shape, and nothing else that would
 * change the model. Close it.
 */
export interface ModelSource {
  /** The folder or file, for messages and for the records of a run. */
  readonly location: string;
  readonly config: ModelConfig;
  readonly tokenizer: TokenizerFiles;
  /**
   * Reads one parameter (a name of `parameterShapes(config)`) as float32, row-major `[out, in]`, into `target` where it is given.
   * No more than this tensor is held in memory.
   * @throws UserError naming file and tensor when it is cut off, of a type that cannot be read, or not finite
   */
  read(name: string, target?: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Every parameter that `config` calls for is there, in its shape and readable, and nothing else.
 * @throws UserError naming file, tensor and what to do
 */
export function checkTensors(
  { described, location, tensors }: Pick<TensorSet, "described" | "location" | "tensors">,
  config: ModelConfig,
): void {
  const shapes = parameterShapes(config);
  const names = new Set(shapes.map(({ name }) => name));
  const unknown = [...tensors.keys()].filter((name) => !names.has(name) && !isIgnorable(name, config));
  for (const { name, shape } of shapes) {
    const stored = tensors.get(name);
    if (!stored) {
      const near = nearest(name, unknown);
      throw new UserError(
        `${location} lacks the tensor "${name}" that ${described} calls for${near ? ` (it has "${near}")` : ""}. ` +
          `Check the number of layers, the model type and whether embeddings are tied in ${described}, or download the model again.`,
      );
    }
    if (stored.unreadable) throw stored.unreadable;
    if (stored.shape.join() !== shape.join()) {
      throw new UserError(
        `${stored.file}: tensor "${name}" has the shape [${stored.shape.join(", ")}], but ${described} calls for ` +
          `[${shape.join(", ")}]. The two belong to different models; download the model again.`,
      );
    }
  }
  if (unknown.length > 0) {
    throw new UserError(
      `${tensors.get(unknown[0])?.file} has the unexpected tensor "${unknown[0]}"` +
        `${unknown.length > 1 ? ` and ${unknown.length - 1} more` : ""}: leaving it out would change the model. ` +
        `Check the model type and the number of layers in ${described}.`,
    );
  }
}

/** The embeddings, and the head that may be a matrix of its own. */
export const embeddingsName = "model.embed_tokens.weight";
export const headName = "lm_head.weight";

/** A copy of tied embeddings (the two are compared when the file is opened), and tables in old files that no program reads. */
function isIgnorable(name: string, config: ModelConfig): boolean {
  return (name === headName && config.tieWordEmbeddings) || name.endsWith(".rotary_emb.inv_freq");
}

/** @throws UserError naming the first number that is not finite */
export function checkFinite(file: string, name: string, values: Float32Array): void {
  for (let index = 0; index < values.length; index++) {
    // Infinity − Infinity and NaN − NaN are NaN.
    if (values[index] - values[index] === 0) continue;
    throw new UserError(
      `${file}: tensor "${name}" holds ${values[index]} at index ${index}. The run that wrote it had diverged, or the file ` +
        "is damaged: go back to an earlier checkpoint or download the file again.",
    );
  }
}
