/** @file Loads a Hugging Face `tokenizer.json` as a `Tokenizer`. */
import path from "node:path";
import { UserError } from "../../errors.js";
import { Lru } from "../../lru.js";
import type { ChatTemplate, Tokenizer } from "../../types.js";
import { chatTemplateOf, tokenText } from "./chat-template.js";
import { limitedTokenizer, type LimitedTokenizer } from "./limited-tokenizer.js";
import { readOptionalJson } from "../../files/json-file.js";
import { isGguf, readTokenizerFiles, tokenizerFile, type TokenizerFiles } from "./tokenizer-files.js";

/** What `tokenizer_config.json` and its neighbours say that matters here. */
interface TokenizerSettings {
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
 * Loads the tokenizer of a Hugging Face folder or a `.gguf` file. Texts end with every token that its files or the folder's `config.json`
 * name for it.
 * @param adapter the folder of an adapter of this model: what it brings along of its own comes first
 * @throws UserError naming the file that is missing or unreadable
 */
export async function loadTokenizer(location: string, adapter?: string): Promise<Tokenizer> {
  const files = await readTokenizerFiles(location, adapter);
  if (isGguf(location)) return tokenizerFromFiles(files);
  const config = (await readOptionalJson(path.join(location, "config.json"))) ?? {};
  return tokenizerFromFiles(files, [config.eos_token_id].flat().filter(isId));
}

/**
 * A tokenizer from its files.
 * @param moreEosIds ids that end a text besides those of the files, as `ModelConfig.eosTokenIds`
 */
export function tokenizerFromFiles(files: TokenizerFiles, moreEosIds: readonly number[] = []): Tokenizer {
  const { location, settings } = files;
  return createTokenizer(
    files.tokenizer,
    {
      eos: [...endTokens(files), ...moreEosIds],
      pad: tokenText(settings.pad_token),
      bos: tokenText(settings.bos_token),
      addBos: typeof settings.add_bos_token === "boolean" ? settings.add_bos_token : undefined,
      chatTemplate: chatTemplateOf(files, location),
    },
    isGguf(location) ? location : path.join(location, tokenizerFile),
  );
}

/** The ids that end a text by the tokenizer's own files, which `source` names in error messages. */
export function endOfTextIds(files: TokenizerFiles, source: string): number[] {
  const ids = new Map(namedTokens(files.tokenizer));
  return endTokens(files).map((token) => idIn(ids, token, source));
}

function endTokens({ settings, generation }: TokenizerFiles): (string | number)[] {
  const eos = tokenText(settings.eos_token);
  return [...(eos === undefined ? [] : [eos]), ...[generation.eos_token_id].flat().filter(isId)];
}

function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function idIn(ids: ReadonlyMap<string, number>, token: string | number, source: string): number {
  const id = typeof token === "number" ? token : ids.get(token);
  if (id !== undefined) return id;
  throw new UserError(
    `${source} lacks the token "${token}" that the model's configuration names. Copy both from the same model.`,
  );
}

/** The largest id of a `tokenizer.json`; −1 without any. */
export function largestId(json: object): number {
  let most = -1;
  for (const [, id] of namedTokens(json)) if (id > most) most = id;
  return most;
}

/** Tokens and their ids; added ones come last and win. A vocabulary of pieces with scores counts from 0. */
function* namedTokens(json: object): Iterable<[string, number]> {
  const { model, added_tokens } = json as {
    model?: { vocab?: Record<string, number> | [string, number][] };
    added_tokens?: { id: number; content: string }[];
  };
  const vocab = model?.vocab ?? {};
  if (Array.isArray(vocab)) for (const [id, [piece]] of vocab.entries()) yield [piece, id];
  else yield* Object.entries(vocab);
  for (const { content, id } of added_tokens ?? []) yield [content, id];
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
  const { added_tokens = [] } = json as { added_tokens?: { id: number; content: string }[] };
  const ids = new Map(namedTokens(json));
  const idOf = (token: string | number): number => idIn(ids, token, source);
  const eosIds = [...new Set(settings.eos.map(idOf))];
  const inner = limitedTokenizer(json, source);
  return cachingTokenizer(inner, {
    vocabSize: largestId(json) + 1,
    eosIds,
    padId: settings.pad === undefined ? (eosIds[0] ?? 0) : idOf(settings.pad),
    specialTokens: new Map(added_tokens.map(({ content, id }) => [content, id])),
    startIds: startIdsOf(inner, settings, idOf),
    chatTemplate: settings.chatTemplate,
  });
}

/** What stands before a text's own tokens when the tokenizer encodes it with everything that belongs to it. */
function startIdsOf(
  inner: LimitedTokenizer,
  { bos, addBos }: TokenizerSettings,
  idOf: (token: string) => number,
): number[] {
  if (addBos === false) return [];
  if (addBos === true && bos !== undefined) return [idOf(bos)];
  const own = inner.encode("a", { add_special_tokens: false });
  const all = inner.encode("a", { add_special_tokens: true });
  const start = all.findIndex((_, index) => own.every((id, offset) => all[index + offset] === id));
  return own.length === 0 || start < 0 ? [] : all.slice(0, start);
}

/** Texts kept in the cache; a rollout encodes the same prompts and passages over and over. */
const cacheSize = 20_000;

function cachingTokenizer(inner: LimitedTokenizer, facts: Omit<Tokenizer, "encode" | "decode">): Tokenizer {
  const cache = new Lru<string, readonly number[]>(cacheSize);
  return {
    ...facts,
    encode(text) {
      const known = cache.get(text);
      if (known) return [...known];
      const ids = inner.encode(text, { add_special_tokens: false });
      cache.set(text, ids);
      return [...ids];
    },
    decode(tokens) {
      return tokens.length === 0 ? "" : inner.decode(tokens);
    },
  };
}
