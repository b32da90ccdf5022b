/** @file Loads a Hugging Face `tokenizer.json` as a `Tokenizer`. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../../errors.js";
import type { ChatTemplate, Tokenizer } from "../../types.js";
import { chatTemplateOf } from "./chat-template.js";

/** What `tokenizer_config.json` and its neighbours say that matters here. */
export interface TokenizerSettings {
  /** Tokens that end a text, as text or as ids. */
  eos: readonly (string | number)[];
  /** The padding token; the first end-of-text token when absent. */
  pad?: string;
  /** The token that begins a text. */
  bos?: string;
  /** Whether texts begin with `bos`; where nothing is said, the post-processor of `tokenizer.json` knows. */
  addBos?: boolean;
  chatTemplate?: ChatTemplate;
}

/**
 * Reads `tokenizer.json`, and the end-of-text and padding tokens from `tokenizer_config.json` and `generation_config.json`
 * where they exist.
 * @throws UserError naming the file that is missing or unreadable
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const json = await readJson(path.join(folder, "tokenizer.json"), true);
  const config = await readJson(path.join(folder, "tokenizer_config.json"), false);
  const generation = await readJson(path.join(folder, "generation_config.json"), false);
  const chatTemplate = await readText(path.join(folder, "chat_template.jinja"), false);
  const eos = [tokenText(config.eos_token), ...[generation.eos_token_id].flat()].filter(
    (token): token is string | number => typeof token === "string" || typeof token === "number",
  );
  const settings: TokenizerSettings = {
    eos,
    pad: tokenText(config.pad_token),
    bos: tokenText(config.bos_token),
    addBos: typeof config.add_bos_token === "boolean" ? config.add_bos_token : undefined,
    chatTemplate: chatTemplateOf({ settings: config, chatTemplate }, folder),
  };
  return createTokenizer(json, settings, path.join(folder, "tokenizer.json"));
}

type Json = Record<string, unknown>;

/** Undefined for a file that is not required and not there. */
async function readText(file: string, required: boolean): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new UserError(
      `Cannot read ${file}: ${(error as Error).message}. A model folder needs the tokenizer.json it was trained with; copy it from the model's source.`,
      { cause: error },
    );
  }
}

async function readJson(file: string, required: boolean): Promise<Json> {
  const text = await readText(file, required);
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  } catch (error) {
    throw new UserError(
      `${file} is not valid JSON (${(error as Error).message}). Copy it again from the model's source.`,
      {
        cause: error,
      },
    );
  }
  throw new UserError(`${file} does not hold a JSON object. Copy it again from the model's source.`);
}

/** `"</s>"` or `{"content": "</s>"}`. */
function tokenText(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  const content = (token as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

/**
 * A tokenizer from the parsed `tokenizer.json`; `source` names it in error messages.
 * @throws UserError when it has no vocabulary or lacks a token that the settings name
 */
export function createTokenizer(json: object, settings: TokenizerSettings, source = "tokenizer.json"): Tokenizer {
  const model = (json as { model?: { vocab?: object } }).model;
  if (!model?.vocab) {
    throw new UserError(`${source} has no model vocabulary. Is it a Hugging Face tokenizer.json?`);
  }
  const special = new Map<string, number>();
  for (const token of (json as { added_tokens?: { id: number; content: string }[] }).added_tokens ?? []) {
    special.set(token.content, token.id);
  }
  const idOf = (token: string | number): number => {
    const id =
      typeof token === "number" ? token : (special.get(token) ?? (model.vocab as Record<string, number>)[token]);
    if (id === undefined)
      throw new UserError(`${source} lacks the token "${token}" that the model's configuration names.`);
    return id;
  };
  const eosIds = [...new Set(settings.eos.map(idOf))];
  const ids = [...Object.values(model.vocab as Record<string, number>), ...special.values()];
  const inner = new HuggingFaceTokenizer(json, {});
  return new CachingTokenizer(inner, {
    vocabSize: ids.reduce((most, id) => Math.max(most, id), -1) + 1,
    eosIds,
    padId: settings.pad === undefined ? (eosIds[0] ?? 0) : idOf(settings.pad),
    specialTokens: special,
    startIds: startIdsOf(inner, settings, idOf),
    chatTemplate: settings.chatTemplate,
  });
}

/** What stands before a text's own tokens when the tokenizer encodes it with everything that belongs to it. */
function startIdsOf(
  inner: HuggingFaceTokenizer,
  { bos, addBos }: TokenizerSettings,
  idOf: (token: string) => number,
): number[] {
  if (addBos === false) return [];
  if (addBos === true && bos !== undefined) return [idOf(bos)];
  const own: number[] = inner.encode("a", { add_special_tokens: false }).ids;
  const all: number[] = inner.encode("a", { add_special_tokens: true }).ids;
  const start = all.findIndex((_, index) => own.every((id, offset) => all[index + offset] === id));
  return own.length === 0 || start < 0 ? [] : all.slice(0, start);
}

/** Texts kept in the cache; a rollout encodes the same prompts and passages over and over. */
const cacheSize = 20_000;

class CachingTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly eosIds: readonly number[];
  readonly padId: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly startIds: readonly number[];
  readonly chatTemplate?: ChatTemplate;
  readonly #inner: HuggingFaceTokenizer;
  readonly #cache = new Map<string, readonly number[]>();

  constructor(inner: HuggingFaceTokenizer, facts: Omit<Tokenizer, "encode" | "decode">) {
    this.#inner = inner;
    this.vocabSize = facts.vocabSize;
    this.eosIds = facts.eosIds;
    this.padId = facts.padId;
    this.specialTokens = facts.specialTokens;
    this.startIds = facts.startIds ?? [];
    this.chatTemplate = facts.chatTemplate;
  }

  encode(text: string): number[] {
    const known = this.#cache.get(text);
    if (known) return [...known];
    const ids: number[] = this.#inner.encode(text, { add_special_tokens: false }).ids;
    if (this.#cache.size >= cacheSize) this.#cache.delete(this.#cache.keys().next().value as string);
    this.#cache.set(text, ids);
    return [...ids];
  }

  decode(tokens: readonly number[]): string {
    if (tokens.length === 0) return "";
    return this.#inner.decode([...tokens], { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  }
}
