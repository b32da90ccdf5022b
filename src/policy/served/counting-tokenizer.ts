/**
 * @file A tokenizer for models whose own is not known: four bytes of UTF-8 are one token, which is about what models take for English. It counts and
 * carries texts, and nothing else.
 */
import { Lru } from "../../lru.js";
import type { Tokenizer } from "../../types.js";

const bytesPerToken = 4;
/** Before each token's bytes stands how many they are, so that ids of short and long ones differ. */
const lengthPlace = 2 ** (8 * bytesPerToken);

function encode(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  const tokens: number[] = [];
  for (let start = 0; start < bytes.length; start += bytesPerToken) {
    const piece = bytes.subarray(start, start + bytesPerToken);
    tokens.push(piece.reduce((id, byte) => id * 256 + byte, piece.length % bytesPerToken) + offsetOf(piece.length));
  }
  return tokens;
}

/** `reduce` begins with the length, so shorter pieces have smaller ids by themselves; whole ones begin behind them all. */
function offsetOf(length: number): number {
  return length === bytesPerToken ? lengthPlace : 0;
}

function bytesOf(token: number): number[] {
  const isWhole = token >= lengthPlace;
  let rest = isWhole ? token - lengthPlace : token;
  if (isWhole) return [24, 16, 8, 0].map((shift) => Math.floor(rest / 2 ** shift) % 256);
  const bytes: number[] = [];
  // The leading number is the length, 1 to 3.
  for (; rest >= 256; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return bytes;
}

/** Made anew for each use: much is prepared per tokenizer. */
export function countingTokenizer(): Tokenizer {
  const cache = new Lru<string, readonly number[]>(4096);
  return {
    vocabSize: 2 * lengthPlace,
    eosIds: [],
    padId: 0,
    specialTokens: new Map(),
    encode(text) {
      const known = cache.get(text) ?? encode(text);
      cache.set(text, known);
      return [...known];
    },
    decode: (tokens) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(tokens.flatMap(bytesOf))),
  };
}
