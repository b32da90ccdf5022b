/** @file A model as a Hugging Face-shaped folder: `config.json`, `model.safetensors`, `tokenizer.json` and its neighbours. */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../errors.js";
import type { ModelConfig } from "../model/config.js";
import { createParameterStore, parameter, parameterShapes, type ParameterStore } from "../model/parameters.js";
import { toConfigJson } from "./config-json.js";
import { openModel } from "./open-model.js";
import { type FloatType, namedTensors, writeSafetensors } from "./safetensors.js";
import { configFile, weightsFile } from "./safetensors-set.js";
import {
  isGguf,
  readTokenizerFiles,
  tokenizerFile,
  tokenizerFiles,
  writeTokenizerFiles,
  type TokenizerFiles,
} from "./tokenizer-files.js";

interface ModelFolder {
  config: ModelConfig;
  parameters: ParameterStore;
}

/**
 * Opens a model with `openModel` and reads all of it.
 * @param location a Hugging Face folder or a `.gguf` file
 * @param expected it must be a model of this very architecture
 * @throws UserError naming the file, the field or tensor, and what to do
 */
export async function loadModelFolder(location: string, expected?: ModelConfig): Promise<ModelFolder> {
  const source = await openModel(location);
  try {
    const { config } = source;
    if (expected) requireSameArchitecture(config, expected, location);
    const parameters = createParameterStore(parameterShapes(config));
    for (const { name } of parameters.shapes) await source.read(name, parameter(parameters, name));
    return { config, parameters };
  } finally {
    await source.close();
  }
}

/**
 * Writes a model into `folder`, which is made if need be. Not atomic by itself: checkpoints write into a temporary folder.
 * @param options.tokenizerFrom the tokenizer's files, or the folder or GGUF file that they come from
 * @param options.dtype type of the stored weights; F32 (the default) loses nothing
 */
export async function saveModelFolder(
  folder: string,
  options: ModelFolder & { tokenizerFrom: string | TokenizerFiles; dtype?: FloatType },
): Promise<void> {
  const { config, parameters, tokenizerFrom, dtype = "F32" } = options;
  const json = toConfigJson(config, dtype);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, configFile), `${JSON.stringify(json, null, 2)}\n`);
  await writeSafetensors(path.join(folder, weightsFile), namedTensors(parameters), {
    dtype,
    metadata: { format: "pt" },
  });
  if (typeof tokenizerFrom !== "string") await writeTokenizerFiles(folder, tokenizerFrom);
  else if (isGguf(tokenizerFrom)) await writeTokenizerFiles(folder, await readTokenizerFiles(tokenizerFrom));
  else if (path.resolve(tokenizerFrom) !== path.resolve(folder)) await copyTokenizer(tokenizerFrom, folder);
}

/** As they are, to the last byte. */
async function copyTokenizer(from: string, to: string): Promise<void> {
  for (const name of tokenizerFiles) {
    await copyFile(path.join(from, name), path.join(to, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT" || name === tokenizerFile) throw error;
    });
  }
}

function requireSameArchitecture(config: ModelConfig, expected: ModelConfig, folder: string): void {
  for (const key of Object.keys({ ...config, ...expected }) as (keyof ModelConfig)[]) {
    if (key === "eosTokenIds" || key === "maxPositions") continue;
    const [found, wanted] = [config[key], expected[key]].map((value) => JSON.stringify(value));
    if (found !== wanted) {
      throw new UserError(
        `${folder} holds another model than the one that is open: ${key} is ${found}, not ` +
          `${wanted}. Load a checkpoint of the same model.`,
      );
    }
  }
}
