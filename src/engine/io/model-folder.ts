/** @file A model as a Hugging Face-shaped folder: `config.json`, `model.safetensors`, `tokenizer.json` and its neighbours. */
import { copyFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { nearest, UserError } from "../../errors.js";
import type { ModelConfig } from "../model/config.js";
import { createParameterStore, parameter, parameterShapes, type ParameterStore } from "../model/parameters.js";
import { parseModelConfig, toConfigJson } from "./config-json.js";
import { type FloatType, SafetensorsFile, writeSafetensors } from "./safetensors.js";

export const CONFIG_FILE = "config.json";
export const WEIGHTS_FILE = "model.safetensors";
export const TOKENIZER_FILE = "tokenizer.json";
/** Copied along where they exist. */
const TOKENIZER_NEIGHBOURS = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "generation_config.json",
  "chat_template.jinja",
];

export interface ModelFolder {
  config: ModelConfig;
  parameters: ParameterStore;
}

/**
 * Loads a model folder, checked before anything is computed: every file is there, every tensor has its shape, no tensor
 * is missing or unknown, all numbers are finite, and the tokenizer fits the embeddings.
 * @param expected the folder must hold a model of this very architecture
 * @throws UserError naming the file, the field or tensor, and what to do
 */
export async function loadModelFolder(folder: string, expected?: ModelConfig): Promise<ModelFolder> {
  const config = await loadModelConfig(folder);
  if (expected) requireSameArchitecture(config, expected, folder);
  await checkTokenizer(folder, config);
  const weights = await openWeights(folder);
  try {
    checkTensors(weights, config);
    const parameters = createParameterStore(parameterShapes(config));
    for (const { name } of parameters.shapes) {
      await weights.read(name, parameter(parameters, name));
      checkFinite(weights.file, name, parameter(parameters, name));
    }
    return { config, parameters };
  } finally {
    await weights.close();
  }
}

/** Reads and checks `config.json` alone. */
export async function loadModelConfig(folder: string): Promise<ModelConfig> {
  const isFolder = await stat(folder).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new UserError(`There is no model folder ${folder}. Check the path.`);
  const file = path.join(folder, CONFIG_FILE);
  return parseModelConfig(await readJson(file), file);
}

/**
 * Writes a model into `folder`, which is made if need be. Not atomic by itself: checkpoints write into a temporary folder.
 * @param options.tokenizerFrom the folder whose tokenizer files are copied
 * @param options.dtype type of the stored weights; F32 (the default) loses nothing
 */
export async function saveModelFolder(
  folder: string,
  options: ModelFolder & { tokenizerFrom: string; dtype?: FloatType },
): Promise<void> {
  const { config, parameters, tokenizerFrom, dtype = "F32" } = options;
  const torchType = { F32: "float32", F16: "float16", BF16: "bfloat16" }[dtype];
  const json = { ...toConfigJson(config), torch_dtype: torchType };
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, CONFIG_FILE), `${JSON.stringify(json, null, 2)}\n`);
  const tensors = parameters.shapes.map(({ name, shape }) => ({ name, shape, data: parameter(parameters, name) }));
  await writeSafetensors(path.join(folder, WEIGHTS_FILE), tensors, { dtype, metadata: { format: "pt" } });
  if (path.resolve(tokenizerFrom) === path.resolve(folder)) return;
  await copyTokenizer(tokenizerFrom, folder);
}

async function copyTokenizer(from: string, to: string): Promise<void> {
  await copyFile(path.join(from, TOKENIZER_FILE), path.join(to, TOKENIZER_FILE));
  for (const name of TOKENIZER_NEIGHBOURS) {
    await copyFile(path.join(from, name), path.join(to, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
}

async function openWeights(folder: string): Promise<SafetensorsFile> {
  const file = path.join(folder, WEIGHTS_FILE);
  if (await exists(file)) return SafetensorsFile.open(file);
  if (await exists(`${file}.index.json`)) {
    throw new UserError(
      `${folder} holds its weights in several files (${WEIGHTS_FILE}.index.json), which is not supported yet. ` +
        `Merge them into ${WEIGHTS_FILE}, for example with save_pretrained(…, max_shard_size="100GB") in Python.`,
    );
  }
  throw new UserError(
    `${folder} has no ${WEIGHTS_FILE}. Copy it from the model's source; weights in other formats must be converted.`,
  );
}

function checkTensors(weights: SafetensorsFile, config: ModelConfig): void {
  const { file, tensors } = weights;
  const shapes = parameterShapes(config);
  const names = shapes.map(({ name }) => name);
  const unknown = [...tensors.keys()].filter((name) => !names.includes(name) && !isIgnorable(name, config));
  for (const { name, shape } of shapes) {
    const entry = tensors.get(name);
    if (!entry) {
      const near = nearest(name, unknown);
      throw new UserError(
        `${file} lacks the tensor "${name}" that ${CONFIG_FILE} calls for${near ? ` (it has "${near}")` : ""}. ` +
          `Check num_hidden_layers, model_type and tie_word_embeddings in ${CONFIG_FILE}, or copy both files again.`,
      );
    }
    if (entry.shape.join() !== shape.join()) {
      throw new UserError(
        `${file}: tensor "${name}" has the shape [${entry.shape.join(", ")}], but ${CONFIG_FILE} calls for ` +
          `[${shape.join(", ")}]. The two files belong to different models; copy both again.`,
      );
    }
  }
  if (unknown.length > 0) {
    throw new UserError(
      `${file} has the unexpected tensor "${unknown[0]}"${unknown.length > 1 ? ` and ${unknown.length - 1} more` : ""}: ` +
        `leaving it out would change the model. Check model_type and num_hidden_layers in ${CONFIG_FILE}.`,
    );
  }
}

/** A copy of tied embeddings, and tables that old files carry and nobody reads. */
function isIgnorable(name: string, config: ModelConfig): boolean {
  return (name === "lm_head.weight" && config.tieWordEmbeddings) || name.endsWith(".rotary_emb.inv_freq");
}

function checkFinite(file: string, name: string, values: Float32Array): void {
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new UserError(
      `${file}: tensor "${name}" holds ${values[bad]} at index ${bad}. The run that wrote it had diverged, or the file ` +
        "is damaged: go back to an earlier checkpoint or copy the file again.",
    );
  }
}

/** A tokenizer with more ids than the embedding has rows would ask for rows that do not exist. */
async function checkTokenizer(folder: string, config: ModelConfig): Promise<void> {
  const file = path.join(folder, TOKENIZER_FILE);
  const json = (await readJson(file)) as {
    model?: { vocab?: Record<string, unknown> };
    added_tokens?: { id?: unknown }[];
  };
  const ids = [...Object.values(json.model?.vocab ?? {}), ...(json.added_tokens ?? []).map(({ id }) => id)];
  let largest = -1;
  for (const id of ids) if (typeof id === "number" && id > largest) largest = id;
  if (largest >= config.vocabSize) {
    throw new UserError(
      `${file} has ids up to ${largest}, but ${CONFIG_FILE} gives the model vocab_size ${config.vocabSize}. ` +
        "Use the tokenizer that the model was trained with.",
    );
  }
}

function requireSameArchitecture(config: ModelConfig, expected: ModelConfig, folder: string): void {
  for (const key of Object.keys(expected) as (keyof ModelConfig)[]) {
    if (key === "eosTokenIds" || key === "maxPositions") continue;
    if (config[key] !== expected[key]) {
      throw new UserError(
        `${folder} holds another model than the one that is open: ${key} is ${String(config[key])}, not ` +
          `${String(expected[key])}. Load a checkpoint of the same model.`,
      );
    }
  }
}

async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UserError(
      `Cannot read ${file}: ${error.message}. A model folder needs ${CONFIG_FILE}, ${WEIGHTS_FILE} and ${TOKENIZER_FILE}; ` +
        "copy the missing file from the model's source.",
      { cause: error },
    );
  });
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new UserError(
      `${file} is not valid JSON: ${(error as Error).message}. Copy it again from the model's source.`,
      {
        cause: error,
      },
    );
  }
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
