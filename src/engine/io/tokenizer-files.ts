/** @file A tokenizer's files: read from a Hugging Face folder or a GGUF file, and written into a folder. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../errors.js";
import { defaultTemplate } from "./chat-template.js";
import { readGgufConfig } from "./gguf-config.js";
import { GgufFile } from "./gguf-file.js";
import { readGgufTokenizer } from "./gguf-tokenizer.js";
import { readOptionalJson, readRequiredJson } from "./json-file.js";
import type { TokenizerFiles } from "./model-source.js";

export const TOKENIZER_FILE = "tokenizer.json";
export const SETTINGS_FILE = "tokenizer_config.json";
export const GENERATION_FILE = "generation_config.json";
export const SPECIAL_TOKENS_FILE = "special_tokens_map.json";
export const TEMPLATE_FILE = "chat_template.jinja";
/** What belongs to a tokenizer. */
export const TOKENIZER_FILES = [TOKENIZER_FILE, SETTINGS_FILE, GENERATION_FILE, SPECIAL_TOKENS_FILE, TEMPLATE_FILE];

/** Whether a location is meant as a GGUF file. */
export function isGguf(location: string): boolean {
  return location.toLowerCase().endsWith(".gguf");
}

/** @throws UserError naming the file that is missing or unreadable */
export async function readTokenizerFiles(location: string): Promise<TokenizerFiles> {
  if (!isGguf(location)) return readFolder(location);
  const gguf = await GgufFile.open(location);
  try {
    const { modelType, maxPositions } = await readGgufConfig(gguf);
    return readGgufTokenizer(gguf.fields, modelType, maxPositions);
  } finally {
    await gguf.close();
  }
}

async function readFolder(folder: string): Promise<TokenizerFiles> {
  const file = (name: string) => path.join(folder, name);
  const tokenizer = await readRequiredJson(
    file(TOKENIZER_FILE),
    "A model folder needs the tokenizer.json it was trained with; copy it from the model's source.",
  );
  const settings = (await readOptionalJson(file(SETTINGS_FILE))) ?? {};
  const generation = (await readOptionalJson(file(GENERATION_FILE))) ?? {};
  const specialTokens = await readOptionalJson(file(SPECIAL_TOKENS_FILE));
  const chatTemplate = (await readOptionalText(file(TEMPLATE_FILE))) ?? defaultTemplate(settings.chat_template);
  return {
    tokenizer,
    settings,
    generation,
    ...(specialTokens && { specialTokens }),
    ...(chatTemplate !== undefined && { chatTemplate }),
  };
}

async function readOptionalText(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UserError(`Cannot read ${file}: ${error.message}. Check the file's permissions.`, { cause: error });
  });
}

/** Writes the files that are known. Not atomic by itself: who needs that writes into a temporary folder and renames it. */
export async function writeTokenizerFiles(folder: string, files: TokenizerFiles): Promise<void> {
  const write = (name: string, text: string) => writeFile(path.join(folder, name), text);
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  await write(TOKENIZER_FILE, `${JSON.stringify(files.tokenizer)}\n`);
  await write(SETTINGS_FILE, json(files.settings));
  await write(GENERATION_FILE, json(files.generation));
  if (files.specialTokens) await write(SPECIAL_TOKENS_FILE, json(files.specialTokens));
  if (files.chatTemplate !== undefined) await write(TEMPLATE_FILE, files.chatTemplate);
}
