/** @file The weights of a Hugging Face folder: one safetensors file, or several that an index joins. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../../errors.js";
import { isPlainName } from "../../files/safe-path.js";
import { readRequiredJson } from "../../files/json-file.js";
import { SafetensorsFile } from "./safetensors.js";
import type { StoredTensor, TensorSet } from "./tensor-set.js";

export const configFile = "config.json";
export const weightsFile = "model.safetensors";
export const indexFile = "model.safetensors.index.json";

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

interface SafetensorsSet extends TensorSet {
  /**
   * Whether both tensors are there and hold the very same numbers.
   * @throws UserError when one of them cannot be read
   */
  holdsSame(name: string, other: string): Promise<boolean>;
}

/** @throws UserError when a file is missing, truncated or malformed, or when the index and its files disagree */
export async function openSafetensors(folder: string): Promise<SafetensorsSet> {
  const single = path.join(folder, weightsFile);
  if (await exists(single)) return join(folder, single, [await SafetensorsFile.open(single)]);
  const index = path.join(folder, indexFile);
  if (await exists(index)) return openIndexed(folder, index);
  throw new UserError(await withoutWeights(folder));
}

async function openIndexed(folder: string, index: string): Promise<SafetensorsSet> {
  const parsed = indexSchema.safeParse(await readRequiredJson(index, "Download it again."));
  if (!parsed.success)
    throw new UserError(`${index}: field "weight_map" does not name a file for every tensor. Download it again.`);
  const places = Object.entries(parsed.data.weight_map);
  const names = [...new Set(places.map(([, file]) => file))].sort();
  const outside = names.find((name) => !isPlainName(name));
  if (outside !== undefined)
    throw new UserError(
      `${index}: field "weight_map" names "${outside}", which is no file beside it. Download it again.`,
    );
  const files: SafetensorsFile[] = [];
  try {
    for (const name of names) {
      const file = path.join(folder, name);
      if (!(await exists(file))) {
        const missing = await countMissing(folder, names);
        throw new UserError(
          `${file} is missing: ${index} spreads the model over ${names.length} files, of which ${missing} ` +
            `${missing === 1 ? "is" : "are"} not there. Download what is missing into ${folder}.`,
        );
      }
      files.push(await SafetensorsFile.open(file));
    }
    for (const [name, file] of places) {
      if (files[names.indexOf(file)].tensors.has(name)) continue;
      throw new UserError(
        `${index} says that ${file} holds the tensor "${name}", but it does not. The two belong to different models; download both again.`,
      );
    }
    return join(folder, index, files);
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

async function join(folder: string, location: string, files: readonly SafetensorsFile[]): Promise<SafetensorsSet> {
  const tensors = new Map<string, StoredTensor>();
  const owners = new Map<string, SafetensorsFile>();
  for (const file of files) {
    for (const [name, { shape }] of file.tensors) {
      const other = owners.get(name);
      if (other) {
        await closeAll(files);
        throw new UserError(
          `${other.file} and ${file.file} both hold the tensor "${name}". Download the model again into an empty folder.`,
        );
      }
      owners.set(name, file);
      tensors.set(name, { file: file.file, shape, unreadable: file.unreadable(name) });
    }
  }
  return {
    described: path.join(folder, configFile),
    location,
    tensors,
    read(name, target) {
      const file = owners.get(name);
      if (!file) throw new Error(`internal: no tensor ${name}`);
      return file.read(name, target);
    },
    async holdsSame(name, other) {
      const [file, otherFile] = [owners.get(name), owners.get(other)];
      return file !== undefined && otherFile !== undefined && file.holdsSame(name, otherFile, other);
    },
    close: () => closeAll(files),
  };
}

async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}

async function countMissing(folder: string, names: readonly string[]): Promise<number> {
  const there = await Promise.all(names.map((name) => exists(path.join(folder, name))));
  return there.filter((isThere) => !isThere).length;
}

/** What the folder holds instead decides what to advise. */
async function withoutWeights(folder: string): Promise<string> {
  const names = await readdir(folder);
  const other = (pattern: RegExp) => names.find((name) => pattern.test(name));
  const gguf = other(/\.gguf$/i);
  if (gguf) return `${folder} has no ${weightsFile}, but ${gguf}: give the path of that file instead of its folder.`;
  const piece = other(/^model-\d+-of-\d+\.safetensors$/);
  if (piece)
    return `${folder} holds ${piece}, but lacks ${indexFile}, which says where each tensor is. Download it too.`;
  const pickle = other(/\.(bin|pt|pth)$/);
  if (pickle) {
    return (
      `${folder} has no ${weightsFile}, but ${pickle}, a format that can run code when it is opened and is therefore not read. ` +
      "Convert it in Python: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER)."
    );
  }
  return `${folder} has no ${weightsFile}. Copy it from the model's source; weights in other formats must be converted.`;
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
