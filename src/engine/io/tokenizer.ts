/** @file Loads a Hugging Face `tokenizer.json` as a `Tokenizer`. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../../errors.js";
import type { Tokenizer } from "../../types.js";

/** What `tokenizer_config.json` and its neighbours say that matters here. */
export interface TokenizerSettings {
  /** Tokens that end a text, as text or as ids. */
  eos: readonly (string | number)[];
  /** The padding token; the first end-of-text token when absent. */
  pad?: string;
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
  const eos = [tokenText(config.eos_token), ...[generation.eos_token_id].flat()].filter(
    (token): token is string | number => typeof token === "string" || typeof token === "number",
  );
  return createTokenizer(json, { eos, pad: tokenText(config.pad_token) }, path.join(folder, "tokenizer.json"));
}

type Json = Record<string, unknown>;

async function readJson(file: string, required: boolean): Promise<Json> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new UserError(
      `Cannot read ${file}: ${(error as Error).message}. A model folder needs the tokenizer.json it was trained with; copy it from the model's source.`,
      { cause: error },
    );
  }
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
  return new CachingTokenizer(new HuggingFaceTokenizer(json, {}), {
    vocabSize: ids.reduce((most, id) => Math.max(most, id), -1) + 1,
    eosIds,
    padId: settings.pad === undefined ? (eosIds[0] ?? 0) : idOf(settings.pad),
    specialTokens: special,
  });
}

/** Texts kept in the cache; a rollout encodes the same prompts and passages over and over. */
const cacheSize = 20_000;

class CachingTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly eosIds: readonly number[];
  readonly padId: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly #inner: HuggingFaceTokenizer;
  readonly #cache = new Map<string, readonly number[]>();

  constructor(inner: HuggingFaceTokenizer, facts: Pick<Tokenizer, "vocabSize" | "eosIds" | "padId" | "specialTokens">) {
    this.#inner = inner;
    this.vocabSize = facts.vocabSize;
    this.eosIds = facts.eosIds;
    this.padId = facts.padId;
    this.specialTokens = facts.specialTokens;
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
