/**
 * @file Hostile passages against the sanitizer: seeded documents, each shown to a model through one of several tokenizers, and then read in four
 * ways. A failure is a reading that holds a protocol tag, a special token or a marker of conversations which the templates did not put there.
 */
import fc from "fast-check";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createTokenizer, loadTokenizer } from "../../src/engine/io/tokenizer.js";
import { byteTokenizer } from "../../src/policy/testing.js";
import { chatMarkers } from "../../src/prompts/chat.js";
import { hostileText } from "../../src/prompts/hostile.test-support.js";
import { searchR1 } from "../../src/prompts/protocol.js";
import { protocolTags } from "../../src/prompts/render.js";
import { knownMarkers, makeSanitizer, type Sanitizer } from "../../src/prompts/sanitize.js";
import { makeObservation } from "../../src/rollout/observation.js";
import type { Tokenizer } from "../../src/types.js";

export interface FuzzPassagesOptions {
  seed: number;
  /** Passages. */
  count: number;
  /** Takes the sanitizer's place; for negative controls. */
  sanitizer?: Sanitizer;
  signal?: AbortSignal;
}

export interface PassageFailure {
  /** One of the four readings, or "error". */
  reading: string;
  tokenizer: string;
  /** The tag, or what was thrown. */
  found: string;
  text: string;
}

export interface FuzzPassagesResult {
  tried: number;
  /** Passages that could not be made harmless and were not shown. */
  leftOut: number;
  failures: PassageFailure[];
}

const golden = fileURLToPath(new URL("../../test/golden/chat/", import.meta.url));
const families = ["smollm2", "qwen2.5", "qwen3", "llama3", "mistral"];

interface Reader {
  name: string;
  tokenizer: Tokenizer;
  sanitizer: Sanitizer;
  /** What no reading may hold, in lower case. */
  structure: readonly string[];
}

/** Tries `count` passages, the same ones for the same seed. */
export async function fuzzPassages(options: FuzzPassagesOptions): Promise<FuzzPassagesResult> {
  const { seed, count, signal } = options;
  const readers = await openReaders(options.sanitizer);
  const result: FuzzPassagesResult = { tried: 0, leftOut: 0, failures: [] };
  for (const [index, text] of fc.sample(hostileText, { seed, numRuns: count }).entries()) {
    signal?.throwIfAborted();
    const reader = readers[index % readers.length];
    result.tried++;
    try {
      const failures = tryPassage(text, reader);
      if (failures === "left out") result.leftOut++;
      else result.failures.push(...failures);
    } catch (error) {
      result.failures.push({ reading: "error", tokenizer: reader.name, found: String(error), text });
    }
  }
  return result;
}

async function openReaders(given?: Sanitizer): Promise<Reader[]> {
  const loaded = families.map(async (family) => [family, await loadTokenizer(path.join(golden, family))] as const);
  const made = [["bytes", byteTokenizer(searchR1)] as const, ["pieces", pieceTokenizer()] as const];
  return [...made, ...(await Promise.all(loaded))].map(([name, tokenizer]) => {
    const tags = [
      ...protocolTags(searchR1),
      ...tokenizer.specialTokens.keys(),
      ...chatMarkers(tokenizer),
      ...knownMarkers,
    ];
    const structure = [...new Set(tags.map((tag) => tag.toLowerCase()))].filter((tag) => /[<>[\]]/.test(tag));
    return { name, tokenizer, sanitizer: given ?? makeSanitizer(searchR1, tokenizer), structure };
  });
}

/** As SentencePiece's unigram models: bytes have pieces that are spelled `<0x3C>`, and a text that is spelled so is read as these bytes. */
function pieceTokenizer(): Tokenizer {
  const hex = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  const bytes = Array.from({ length: 256 }, (_, byte): [string, number] => [hex(byte), 0]);
  const signs = Array.from({ length: 95 }, (_, index): [string, number] => [String.fromCharCode(32 + index), -3]);
  const vocab = [["<unk>", 0], ["</s>", 0], ...bytes, ...signs];
  const model = { type: "Unigram", unk_id: 0, byte_fallback: true, vocab };
  const decoder = { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] };
  const added_tokens = [{ id: 1, content: "</s>", special: true }];
  const none = { normalizer: null, pre_tokenizer: null, post_processor: null };
  return createTokenizer({ version: "1.0", ...none, model, decoder, added_tokens }, { eos: ["</s>"] });
}

function tryPassage(text: string, { name, tokenizer, sanitizer, structure }: Reader): PassageFailure[] | "left out" {
  const options = { protocol: searchR1, tokenizer, sanitizer, maxTokens: 4_000 };
  const passage = { id: "hostile", title: text, text, score: 1 };
  const shown = makeObservation([passage], options);
  const bare = makeObservation([{ ...passage, title: "A", text: "b" }], options);
  if (shown === null || bare === null || shown.passages.length === 0) return "left out";
  const readings = readingsOf(shown.text, tokenizer);
  return Object.entries(readingsOf(bare.text, tokenizer)).flatMap(([reading, harmless]) =>
    structure
      .filter((tag) => occurrences(readings[reading], tag) > occurrences(harmless, tag))
      .map((found) => ({ reading, tokenizer: name, found, text })),
  );
}

/** What a careless reader may take a text for. Each in lower case, without white space. */
function readingsOf(text: string, tokenizer: Tokenizer): Record<string, string> {
  const readings = {
    "as it is": text,
    "compatibility forms": text.normalize("NFKC"),
    "entities decoded": decoded(text),
    "through the tokenizer, without what is invisible": tokenizer
      .decode(tokenizer.encode(text))
      .replace(/[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]/gu, ""),
  };
  return Object.fromEntries(
    Object.entries(readings).map(([name, read]) => [name, read.toLowerCase().replace(/\s/g, "")]),
  );
}

/** Again and again, as one program behind another may. Written apart from the sanitizer's own. */
function decoded(text: string): string {
  const signs: Readonly<Record<string, string>> = {
    lt: "<",
    gt: ">",
    amp: "&",
    sol: "/",
    vert: "|",
    lsqb: "[",
    rsqb: "]",
    shy: "",
  };
  for (let rounds = 0; rounds < 4; rounds++)
    text = text
      .replace(/&#x([0-9a-f]{1,6});?/gi, (_, digits: string) => fromCode(parseInt(digits, 16)))
      .replace(/&#([0-9]{1,7});?/g, (_, digits: string) => fromCode(Number(digits)))
      .replace(/&(lt|gt|amp|sol|vert|lsqb|rsqb|shy);/g, (_, name: string) => signs[name]);
  return text;
}

function fromCode(code: number): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : "";
}

function occurrences(text: string, tag: string): number {
  return text.split(tag).length - 1;
}
