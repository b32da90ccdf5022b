/** @file A tokenizer's files: read from a Hugging Face folder or a GGUF file, and written into a folder. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { ModelConfig } from "../model/config.js";
import { defaultTemplate, tokenText } from "./chat-template.js";
import { readGgufConfig } from "./gguf-config.js";
import { checkTokenizerJson } from "./tokenizer-check.js";
import { GgufFile } from "./gguf-file.js";
import { readGgufTokenizer } from "./gguf-tokenizer.js";
import { readOptionalJson, readOptionalText, readRequiredJson } from "../../files/json-file.js";
import { configFile } from "./safetensors-set.js";

export const tokenizerFile = "tokenizer.json";
export const settingsFile = "tokenizer_config.json";
export const generationFile = "generation_config.json";
export const specialTokensFile = "special_tokens_map.json";
export const templateFile = "chat_template.jinja";
/** What belongs to a tokenizer. */
export const tokenizerFiles = [tokenizerFile, settingsFile, generationFile, specialTokensFile, templateFile];

/** The tokenizer's files as parsed JSON, whatever the model's own format keeps them in. */
export interface TokenizerFiles {
  /** The folder or GGUF file that holds the tokenizer, for messages. */
  location: string;
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

/**
 * The tokenizer of a model, or what an adapter of it brings along in its place. A padding token beyond the embeddings is left out.
 * @param adapter the folder of an adapter of this model
 * @throws UserError naming the file that is missing or unreadable
 */
export async function readTokenizerFiles(location: string, adapter?: string): Promise<TokenizerFiles> {
  if (!isGguf(location)) {
    const { vocab_size } = (await readOptionalJson(path.join(location, configFile))) ?? {};
    const files = await withOwnFiles(await readFolder(location), adapter);
    return typeof vocab_size === "number" ? withoutUnreadPad(files, vocab_size) : files;
  }
  const gguf = await GgufFile.open(location);
  try {
    return await ggufTokenizerFiles(gguf, await readGgufConfig(gguf), adapter);
  } finally {
    await gguf.close();
  }
}

/** The same for a GGUF file that is open. */
export async function ggufTokenizerFiles(
  { fields }: GgufFile,
  { modelType, maxPositions, vocabSize }: ModelConfig,
  adapter?: string,
): Promise<TokenizerFiles> {
  const files = await withOwnFiles(readGgufTokenizer(fields, modelType, maxPositions), adapter);
  return withoutUnreadPad(files, vocabSize);
}

async function readFolder(folder: string): Promise<TokenizerFiles> {
  const file = path.join(folder, tokenizerFile);
  const tokenizer = await readRequiredJson(
    file,
    "A model folder needs the tokenizer.json it was trained with; copy it from the model's source.",
  );
  checkTokenizerJson(tokenizer, file);
  return { location: folder, tokenizer, settings: {}, generation: {}, ...(await readNeighbours(folder)) };
}

/** What stands beside a `tokenizer.json`, without what is not there. */
async function readNeighbours(folder: string): Promise<Partial<TokenizerFiles>> {
  const file = (name: string) => path.join(folder, name);
  const settings = await readOptionalJson(file(settingsFile));
  const generation = await readOptionalJson(file(generationFile));
  const specialTokens = await readOptionalJson(file(specialTokensFile));
  const chatTemplate = (await readOptionalText(file(templateFile))) ?? defaultTemplate(settings?.chat_template);
  return {
    ...(settings && { settings }),
    ...(generation && { generation }),
    ...(specialTokens && { specialTokens }),
    ...(chatTemplate !== undefined && { chatTemplate }),
  };
}

/**
 * Training with PEFT saves the tokenizer beside the adapter: with the chat template that was trained on, or with a token of its own that ends
 * a turn. Without a `tokenizer.json` there, its settings may name tokens that the model's tokenizer lacks; then only a template counts.
 */
async function withOwnFiles(files: TokenizerFiles, adapter: string | undefined): Promise<TokenizerFiles> {
  if (adapter === undefined) return files;
  const own = await readNeighbours(adapter);
  const tokenizer = await readOptionalJson(path.join(adapter, tokenizerFile));
  if (tokenizer) {
    checkTokenizerJson(tokenizer, path.join(adapter, tokenizerFile));
    return { ...files, ...own, tokenizer, location: adapter };
  }
  return own.chatTemplate === undefined ? files : { ...files, chatTemplate: own.chatTemplate };
}

/**
 * A padding token that people added and the embeddings have no row for. A model never reads it, so it may be there; but no text may become
 * it: where a text spells it, it is encoded as any other text.
 */
function withoutUnreadPad(files: TokenizerFiles, rows: number): TokenizerFiles {
  const { pad_token, ...settings } = files.settings;
  const pad = tokenText(pad_token);
  const { added_tokens, model } = files.tokenizer as {
    added_tokens?: { id: number; content: string }[];
    model?: { vocab?: Record<string, number> };
  };
  if (pad === undefined || !Array.isArray(added_tokens)) return files;
  const isUnread = added_tokens.some(({ id, content }) => content === pad && id >= rows);
  const isWritten =
    files.chatTemplate !== undefined && /pad_token/.test(files.chatTemplate.replaceAll(pad, "pad_token"));
  const ends = [settings.eos_token, settings.bos_token].map(tokenText);
  if (!isUnread || isWritten || ends.includes(pad)) return files;
  return {
    ...files,
    settings,
    generation: without(files.generation, "pad_token_id"),
    ...(files.specialTokens && { specialTokens: without(files.specialTokens, "pad_token") }),
    tokenizer: {
      ...files.tokenizer,
      added_tokens: added_tokens.filter(({ content }) => content !== pad),
      ...(model?.vocab && { model: { ...model, vocab: without(model.vocab, pad) } }),
    },
  };
}

function without<T>(record: Record<string, T>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
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
