/** @file A tokenizer's files: read from a Hugging Face folder or a GGUF file, and written into a folder. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { defaultTemplate } from "./chat-template.js";
import { readGgufConfig } from "./gguf-config.js";
import { GgufFile } from "./gguf-file.js";
import { readGgufTokenizer } from "./gguf-tokenizer.js";
import { readOptionalJson, readOptionalText, readRequiredJson } from "./json-file.js";

export const tokenizerFile = "tokenizer.json";
export const settingsFile = "tokenizer_config.json";
export const generationFile = "generation_config.json";
export const specialTokensFile = "special_tokens_map.json";
export const templateFile = "chat_template.jinja";
/** What belongs to a tokenizer. */
export const tokenizerFiles = [tokenizerFile, settingsFile, generationFile, specialTokensFile, templateFile];

/** The tokenizer's files as parsed JSON, whatever the model's own format keeps them in. */
export interface TokenizerFiles {
  /** `tokenizer.json` */
  tokenizer: Record<string, unknown>;
  /** `tokenizer_config.json`; `{}` where there is none. */
  settings: Record<string, unknown>;
  /** `generation_config.json`; `{}` where there is none. */
  generation: Record<string, unknown>;
  /** `special_tokens_map.json`; absent where there is none. */
  specialTokens?: Record<string, unknown>;
  /** The chat template (Jinja): from `chat_template.jinja`, else from `tokenizer_config.json`; absent for base models without one. */
  chatTemplate?: string;
}

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
    file(tokenizerFile),
    "A model folder needs the tokenizer.json it was trained with; copy it from the model's source.",
  );
  const settings = (await readOptionalJson(file(settingsFile))) ?? {};
  const generation = (await readOptionalJson(file(generationFile))) ?? {};
  const specialTokens = await readOptionalJson(file(specialTokensFile));
  const chatTemplate = (await readOptionalText(file(templateFile))) ?? defaultTemplate(settings.chat_template);
  return {
    tokenizer,
    settings,
    generation,
    ...(specialTokens && { specialTokens }),
    ...(chatTemplate !== undefined && { chatTemplate }),
  };
}

/** Writes the files that are known. Not atomic by itself: for that, write into a temporary folder and rename it. */
export async function writeTokenizerFiles(folder: string, files: TokenizerFiles): Promise<void> {
  const write = (name: string, text: string) => writeFile(path.join(folder, name), text);
  const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
  await write(tokenizerFile, `${JSON.stringify(files.tokenizer)}\n`);
  await write(settingsFile, json(files.settings));
  await write(generationFile, json(files.generation));
  if (files.specialTokens) await write(specialTokensFile, json(files.specialTokens));
  if (files.chatTemplate !== undefined) await write(templateFile, files.chatTemplate);
}
