/** @file Opening a pretrained model: a Hugging Face folder or a GGUF file, checked whole before anything is computed. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../errors.js";
import type { ModelConfig } from "../model/config.js";
import { parseModelConfig } from "./config-json.js";
import { ggufTensors, readGgufConfig } from "./gguf-config.js";
import { GgufFile } from "./gguf-file.js";
import { readOptionalJson, readRequiredJson } from "../../files/json-file.js";
import { configFile, openSafetensors, weightsFile } from "./safetensors-set.js";
import { checkFinite, checkTensors, embeddingsName, headName, type ModelSource, type TensorSet } from "./tensor-set.js";
import {
  generationFile,
  ggufTokenizerFiles,
  isGguf,
  readTokenizerFiles,
  settingsFile,
  tokenizerFile,
  type TokenizerFiles,
} from "./tokenizer-files.js";
import { endOfTextIds, largestId } from "./tokenizer.js";

/**
 * Opens a model: every file is there, every tensor has its shape and a type that can be read, none is missing or unknown, and the
 * tokenizer fits the embeddings.
 * @param location a Hugging Face folder or a `.gguf` file
 * @param adapter the folder of an adapter of this model: its own tokenizer, chat template and generation settings are taken, where it has them
 * @throws UserError naming the file, the field or tensor, and what to do
 */
export async function openModel(location: string, adapter?: string): Promise<ModelSource> {
  const stats = await stat(location).catch(() => undefined);
  if (isGguf(location) && stats?.isFile()) return openGguf(location, adapter);
  if (stats?.isFile()) {
    throw new UserError(
      `${location} is a file, but a model is a folder or a .gguf file. Give the folder that holds ${configFile}.`,
    );
  }
  if (!stats) throw new UserError(`There is no model folder or file ${location}. Check the path.`);
  return openFolder(location, adapter);
}

/**
 * The shape of a model, without its weights.
 * @param location as for `openModel`
 * @throws UserError naming the file, the field, and what to do
 */
export async function readModelConfig(location: string): Promise<ModelConfig> {
  if (!isGguf(location)) return loadModelConfig(location);
  const gguf = await GgufFile.open(location);
  try {
    return await readGgufConfig(gguf);
  } finally {
    await gguf.close();
  }
}

/** Reads and checks `config.json` alone, without what the tokenizer's files add to it. */
export async function loadModelConfig(folder: string): Promise<ModelConfig> {
  const file = path.join(folder, configFile);
  if (!(await readOptionalJson(file)) && (await readOptionalJson(path.join(folder, "adapter_config.json")))) {
    throw new UserError(
      `${folder} holds an adapter (adapter_config.json), not a whole model. Give the folder of its base model here.`,
    );
  }
  const advice = `A model folder needs ${configFile}, ${weightsFile} and ${tokenizerFile}; copy the missing file from the model's source.`;
  return parseModelConfig(await readRequiredJson(file, advice), file);
}

async function openFolder(folder: string, adapter: string | undefined): Promise<ModelSource> {
  const described = await loadModelConfig(folder);
  const tokenizer = await readTokenizerFiles(folder, adapter);
  const set = await openSafetensors(folder);
  try {
    // Training frameworks may keep `tie_word_embeddings` and train both matrices. As transformers 5 does: the numbers decide.
    const { tensors } = set;
    const isUntied =
      described.tieWordEmbeddings &&
      tensors.has(headName) &&
      tensors.has(embeddingsName) &&
      !(await set.holdsSame(headName, embeddingsName));
    const config = isUntied ? { ...described, tieWordEmbeddings: false } : described;
    return checked(folder, set, config, tokenizer);
  } catch (error) {
    await set.close();
    throw error;
  }
}

async function openGguf(file: string, adapter: string | undefined): Promise<ModelSource> {
  const gguf = await GgufFile.open(file);
  try {
    const config = await readGgufConfig(gguf);
    const tokenizer = await ggufTokenizerFiles(gguf, config, adapter);
    return checked(file, ggufTensors(gguf, config), config, tokenizer);
  } catch (error) {
    await gguf.close();
    throw error;
  }
}

function checked(location: string, set: TensorSet, described: ModelConfig, tokenizer: TokenizerFiles): ModelSource {
  checkTensors(set, described);
  const config = { ...described, eosTokenIds: joinEnds(described, tokenizer) };
  return {
    location,
    config,
    tokenizer,
    async read(name, target) {
      const values = await set.read(name, target);
      checkFinite(set.tensors.get(name)?.file ?? location, name, values);
      return values;
    },
    close: () => set.close(),
  };
}

/**
 * Every id that ends a text, as config.json, generation_config.json and the tokenizer know them.
 * A tokenizer with more ids than the embedding has rows would ask for rows that do not exist.
 */
function joinEnds({ vocabSize, eosTokenIds }: ModelConfig, files: TokenizerFiles): number[] {
  const inside = (name: string) => (isGguf(files.location) ? files.location : path.join(files.location, name));
  const largest = largestId(files.tokenizer);
  if (largest >= vocabSize) {
    throw new UserError(
      `${inside(tokenizerFile)} has token ids up to ${largest}, but the model has embeddings for vocab_size ${vocabSize} tokens. ` +
        "Use the tokenizer that the model was trained with; only a padding token, which is never read, may lie beyond.",
    );
  }
  const more = endOfTextIds(files, inside(settingsFile));
  const beyond = more.find((id) => id >= vocabSize);
  if (beyond !== undefined) {
    throw new UserError(
      `${inside(generationFile)}: field "eos_token_id" is ${beyond}, but the vocabulary has ${vocabSize} entries. ` +
        "The file belongs to another model; copy it again from the model's source.",
    );
  }
  return [...new Set([...eosTokenIds, ...more])];
}
