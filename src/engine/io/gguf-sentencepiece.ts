/**
 * @file SentencePiece BPE out of a GGUF file (`tokenizer.ggml.model` "llama"): tokens with scores become merges, as Hugging Face's
 * converter derives them. Spaces are written "▁", one stands before every text, and unknown characters are spelled in bytes.
 */
import { UserError } from "../../errors.js";
import type { GgufFields } from "./gguf-file.js";

/** llama.cpp's kinds of tokens, as `tokenizer.ggml.token_type` numbers them. */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const space = "▁";

/** The parts of `tokenizer.json` that depend on the kind of tokenizer. */
export function sentencePieceJson(
  fields: GgufFields,
  tokens: readonly string[],
  types: readonly number[],
): Record<string, unknown> {
  const scores = fields.required("tokenizer.ggml.scores", fields.numbers("tokenizer.ggml.scores"));
  if (scores.length !== tokens.length) {
    throw fields.problem(
      "tokenizer.ggml.scores",
      `it has ${scores.length} entries for ${tokens.length} tokens. The file is damaged; download it again.`,
    );
  }
  const unknown = types.indexOf(tokenTypes.unknown);
  if (unknown < 0) {
    throw new UserError(
      `${fields.file}, metadata field "tokenizer.ggml.token_type": no token is the unknown one. The file is damaged; download it again.`,
    );
  }
  const addsSpace = fields.boolean("tokenizer.ggml.add_space_prefix") ?? true;
  const spaces = { type: "Replace", pattern: { String: " " }, content: space };
  const vocab: Record<string, number> = {};
  for (const [id, token] of tokens.entries()) if (types[id] !== tokenTypes.unused) vocab[token] = id;
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
    model: {
      type: "BPE",
      dropout: null,
      unk_token: tokens[unknown],
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges: mergesFromScores(tokens, scores, types),
    },
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
