/**
 * @file The tokenizer inside a GGUF file, rebuilt as the files that Hugging Face keeps beside a model. Byte-level BPE is stored as its
 * vocabulary and merges (`tokenizer.ggml.model` "gpt2"); how text is cut before merging is stored only as a name (`tokenizer.ggml.pre`),
 * whose patterns are those of the models' own tokenizer.json. SentencePiece BPE ("llama") is stored as tokens with scores, which become
 * merges as in Hugging Face's converter.
 */
import type { ModelType } from "../model/config.js";
import type { GgufFields } from "./gguf-file.js";
import type { TokenizerFiles } from "./tokenizer-files.js";
import { addedToken, bpeModel, byteLevel, byteLevelDecoder } from "./tokenizer-json.js";
import { unicodeDigit, wordsAndDigits } from "./tokenizer-patterns.js";

/** llama.cpp's kinds of tokens, as `tokenizer.ggml.token_type` numbers them. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;
/** The space of SentencePiece. */
const space = "▁";

/** Special roles and the metadata fields that name their ids. */
const roles = {
  bos_token: "tokenizer.ggml.bos_token_id",
  eos_token: "tokenizer.ggml.eos_token_id",
  pad_token: "tokenizer.ggml.padding_token_id",
  unk_token: "tokenizer.ggml.unknown_token_id",
} as const;

/** Further fields whose tokens end a text: the end of a turn, the end of a message. */
const moreEnds = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
/** A whole text never goes on behind these, whether or not the metadata say so. */
const endsOfText = ["<|endoftext|>", "<|end_of_text|>"];

/** How text is cut before merging. */
interface Cutting {
  names: readonly string[];
  normalizer?: object;
  preTokenizers: object[];
  /** A piece that is a token as a whole is not merged. */
  ignoreMerges?: boolean;
  addBos?: boolean;
}

const split = (pattern: string) => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});
const gpt2: Cutting = { names: ["gpt-2", "gpt2", "mpt", "olmo"], preTokenizers: [byteLevel(true)] };
const qwen: Cutting = {
  names: ["qwen2", "deepseek-r1-qwen"],
  normalizer: { type: "NFC" },
  preTokenizers: [split(wordsAndDigits(unicodeDigit)), byteLevel(false)],
};
const cuttings: readonly Cutting[] = [
  gpt2,
  qwen,
  {
    names: ["smollm", "starcoder", "refact", "codeshell"],
    preTokenizers: [{ type: "Digits", individual_digits: true }, byteLevel(true)],
  },
  {
    names: ["llama-bpe", "llama3", "llama-v3"],
    preTokenizers: [split(wordsAndDigits("\\p{N}{1,3}")), byteLevel(false)],
    ignoreMerges: true,
    addBos: true,
  },
];

/**
 * @param contextLength how many tokens a text may have
 * @throws UserError naming the field that is missing, malformed or not supported
 */
export function readGgufTokenizer(fields: GgufFields, modelType: ModelType, contextLength: number): TokenizerFiles {
  const tokens = fields.required("tokenizer.ggml.tokens", "strings");
  const types = fields.numbers("tokenizer.ggml.token_type") ?? tokens.map(() => tokenTypes.normal);
  requireOneEach(fields, "tokenizer.ggml.token_type", types, tokens);
  const names: Partial<Record<keyof typeof roles, string>> = {};
  for (const [role, field] of Object.entries(roles)) {
    const id = tokenId(fields, field, tokens);
    if (id !== undefined) names[role as keyof typeof roles] = tokens[id];
  }
  const { json, addBos } = tokenizerJson(fields, modelType, tokens, types, names.bos_token);
  const template = fields.string("tokenizer.chat_template");
  return {
    location: fields.file,
    tokenizer: json,
    settings: {
      tokenizer_class: "PreTrainedTokenizerFast",
      ...names,
      add_bos_token: addBos,
      clean_up_tokenization_spaces: false,
      model_max_length: contextLength,
    },
    generation: generation(fields, tokens, types),
    specialTokens: { ...names },
    ...(template === undefined ? {} : { chatTemplate: template }),
  };
}

function requireOneEach(fields: GgufFields, field: string, values: readonly number[], tokens: readonly string[]): void {
  if (values.length === tokens.length) return;
  throw fields.damaged(field, `it has ${values.length} entries for ${tokens.length} tokens`);
}

function tokenId(fields: GgufFields, field: string, tokens: readonly string[]): number | undefined {
  const id = fields.count(field);
  if (id === undefined || id < tokens.length) return id;
  throw fields.damaged(field, `it is ${id}, but there are ${tokens.length} tokens`);
}

function generation(fields: GgufFields, tokens: readonly string[], types: readonly number[]): Record<string, unknown> {
  const named = [roles.eos_token, ...moreEnds].map((field) => tokenId(fields, field, tokens));
  const written = endsOfText.map((text) => tokens.indexOf(text)).filter((id) => types[id] === tokenTypes.control);
  const ends = [...new Set([...named, ...written])].filter((id) => id !== undefined);
  const bos = fields.count(roles.bos_token);
  const pad = fields.count(roles.pad_token);
  return {
    ...(bos === undefined ? {} : { bos_token_id: bos }),
    ...(ends.length === 0 ? {} : { eos_token_id: ends.length === 1 ? ends[0] : ends }),
    ...(pad === undefined ? {} : { pad_token_id: pad }),
  };
}

function tokenizerJson(
  fields: GgufFields,
  modelType: ModelType,
  tokens: readonly string[],
  types: readonly number[],
  bos: string | undefined,
): { json: Record<string, unknown>; addBos: boolean } {
  const kind = fields.required("tokenizer.ggml.model", "string");
  if (kind !== "gpt2" && kind !== "llama") {
    throw fields.problem(
      "tokenizer.ggml.model",
      `it is "${kind}", but only "gpt2" (byte-level BPE) and "llama" (SentencePiece BPE) can be rebuilt. ` +
        "Take the model as a Hugging Face folder with its tokenizer.json.",
    );
  }
  const cutting = kind === "gpt2" ? cuttingOf(fields, modelType) : undefined;
  const addBos = fields.boolean("tokenizer.ggml.add_bos_token") ?? (cutting ? cutting.addBos === true : true);
  const common = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens, types),
    post_processor: addBos && bos !== undefined ? bosInFront(bos, tokens.indexOf(bos)) : null,
  };
  const rest = cutting ? byteLevelJson(fields, cutting, tokens, types) : sentencePieceJson(fields, tokens, types);
  return { json: { ...common, ...rest }, addBos };
}

/** Old files do not say how to cut; each architecture's own way is meant then. */
function cuttingOf(fields: GgufFields, modelType: ModelType): Cutting {
  const name = fields.string("tokenizer.ggml.pre") ?? "default";
  if (name === "default") return modelType === "llama" ? gpt2 : qwen;
  const cutting = cuttings.find(({ names }) => names.includes(name));
  if (cutting) return cutting;
  const known = cuttings.flatMap(({ names }) => names).join(", ");
  throw fields.problem(
    "tokenizer.ggml.pre",
    `it is "${name}", but only these ways to cut text are known: ${known}. Take the model as a Hugging Face folder with its tokenizer.json.`,
  );
}

function addedTokens(tokens: readonly string[], types: readonly number[]): object[] {
  return tokens.flatMap((content, id) => {
    const special = types[id] === tokenTypes.control || types[id] === tokenTypes.unknown;
    return special || types[id] === tokenTypes.userDefined ? [addedToken(id, content, special)] : [];
  });
}

/** The beginning of a text, for tools that add it; nothing here does by itself. */
function bosInFront(bos: string, id: number): object {
  const special = { SpecialToken: { id: bos, type_id: 0 } };
  const text = (name: string) => ({ Sequence: { id: name, type_id: name === "A" ? 0 : 1 } });
  return {
    type: "TemplateProcessing",
    single: [special, text("A")],
    pair: [special, text("A"), { SpecialToken: { id: bos, type_id: 1 } }, text("B")],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  };
}

/** The ids of the tokens that are in use. */
function vocabulary(tokens: readonly string[], types: readonly number[]): Record<string, number> {
  return Object.fromEntries(
    tokens.flatMap((token, id) => (types[id] === tokenTypes.unused ? [] : [[token, id] as const])),
  );
}

function byteLevelJson(
  fields: GgufFields,
  { normalizer, preTokenizers, ignoreMerges }: Cutting,
  tokens: readonly string[],
  types: readonly number[],
): Record<string, unknown> {
  const field = "tokenizer.ggml.merges";
  const vocab = vocabulary(tokens, types);
  const merges = fields.required(field, "strings").map((merge): [string, string] => {
    // A byte-level token holds no space; the first character may not be the separator.
    const at = merge.indexOf(" ", 1);
    const pair: [string, string] = [merge.slice(0, at), merge.slice(at + 1)];
    if (at > 0 && pair.every((part) => Object.hasOwn(vocab, part))) return pair;
    throw fields.damaged(field, `"${merge}" is no pair of tokens`);
  });
  return {
    normalizer: normalizer ?? null,
    pre_tokenizer: preTokenizers.length === 1 ? preTokenizers[0] : { type: "Sequence", pretokenizers: preTokenizers },
    decoder: byteLevelDecoder,
    model: bpeModel(vocab, merges, { ignoreMerges }),
  };
}

/** Spaces are written "▁", one stands before every text, and unknown characters are spelled in bytes. */
function sentencePieceJson(
  fields: GgufFields,
  tokens: readonly string[],
  types: readonly number[],
): Record<string, unknown> {
  const scores = fields.required("tokenizer.ggml.scores", "numbers");
  requireOneEach(fields, "tokenizer.ggml.scores", scores, tokens);
  const unknown = types.indexOf(tokenTypes.unknown);
  if (unknown < 0) throw fields.damaged("tokenizer.ggml.token_type", "no token is the unknown one");
  const addsSpace = fields.boolean("tokenizer.ggml.add_space_prefix") ?? true;
  const spaces = { type: "Replace", pattern: { String: " " }, content: space };
  return {
    normalizer: {
      type: "Sequence",
      normalizers: [...(addsSpace ? [{ type: "Prepend", prepend: space }] : []), spaces],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: space }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(addsSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: bpeModel(vocabulary(tokens, types), mergesFromScores(tokens, scores, types), {
      unknown: tokens[unknown],
      byteFallback: true,
    }),
  };
}

/** Every way to make a token of two others, the best token first; ties as in the vocabulary's order. */
function mergesFromScores(
  tokens: readonly string[],
  scores: readonly number[],
  types: readonly number[],
): [string, string][] {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) if (types[id] === tokenTypes.normal) ids.set(token, id);
  const merges: { pair: [string, string]; left: number; right: number; made: number }[] = [];
  for (const [token, made] of ids) {
    for (let at = 1; at < token.length; at++) {
      const pair: [string, string] = [token.slice(0, at), token.slice(at)];
      const [left, right] = [ids.get(pair[0]), ids.get(pair[1])];
      if (left !== undefined && right !== undefined) merges.push({ pair, left, right, made });
    }
  }
  merges.sort((a, b) => scores[b.made] - scores[a.made] || a.made - b.made || a.left - b.left || a.right - b.right);
  return merges.map(({ pair }) => pair);
}
