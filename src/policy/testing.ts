/** @file A tokenizer small enough to read, for tests: bytes of UTF-8, and one id for each tag. */
import { protocolTags } from "../prompts/render.js";
import type { Protocol } from "../prompts/protocol.js";
import { searchR1 } from "../prompts/protocol.js";
import type { Tokenizer } from "../types.js";

const chatTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/**
 * Ids 0–255 are bytes; then `<|endoftext|>` (256, the end of text and the padding), the chat markers, and the
 * protocol's tags. Special tokens in a text are recognised leftmost first, longest first, as real tokenizers do.
 */
export function byteTokenizer(protocol: Protocol = searchR1): Tokenizer {
  const specials = [...chatTokens, ...protocolTags(protocol)];
  const specialTokens = new Map(specials.map((text, index) => [text, 256 + index]));
  const pattern = new RegExp(
    `(${[...specials]
      .sort((a, b) => b.length - a.length)
      .map(escape)
      .join("|")})`,
  );
  return {
    vocabSize: 256 + specials.length,
    eosIds: [256],
    padId: 256,
    specialTokens,
    encode: (text) =>
      text.split(pattern).flatMap((part) => {
        const special = specialTokens.get(part);
        return special === undefined ? [...Buffer.from(part, "utf8")] : [special];
      }),
    decode: (tokens) =>
      Buffer.concat(
        tokens.map((token) => (token < 256 ? Buffer.from([token]) : Buffer.from(specials[token - 256] ?? "", "utf8"))),
      ).toString("utf8"),
  };
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
