/** @file The dictionary of a segment: terms to their numbers, without an object per term. */
import type { TermBlock } from "./snapshot.js";

/** Puts a dictionary into its block. Arrays lie in SharedArrayBuffers. */
export function termBlockOf(numbers: ReadonlyMap<string, number>): TermBlock {
  const sorted = [...numbers.keys()].sort();
  const bytes = sorted.reduce((sum, term) => sum + Buffer.byteLength(term), 0);
  const block: TermBlock = {
    text: new Uint8Array(new SharedArrayBuffer(bytes)),
    offsets: new Uint32Array(new SharedArrayBuffer(4 * (sorted.length + 1))),
    numbers: new Uint32Array(new SharedArrayBuffer(4 * sorted.length)),
  };
  let end = 0;
  for (const [place, term] of sorted.entries()) {
    const encoded = Buffer.from(term);
    block.text.set(encoded, end);
    end += encoded.length;
    block.offsets[place + 1] = end;
    block.numbers[place] = numbers.get(term) as number;
  }
  return block;
}

/** The number of a term (UTF-8), or -1 when no passage holds it. Binary search. */
export function numberOfTerm({ text, offsets, numbers }: TermBlock, term: Uint8Array): number {
  let low = 0;
  let high = numbers.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const order = compare(term, text, offsets[middle], offsets[middle + 1]);
    if (order === 0) return numbers[middle];
    if (order > 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** Compares UTF-8 with the piece of `text` from `start` to `end`, in the order of UTF-16 units as JavaScript compares strings. */
function compare(term: Uint8Array, text: Uint8Array, start: number, end: number): number {
  const shared = Math.min(term.length, end - start);
  for (let at = 0; at < shared; at++) {
    const [one, other] = [term[at], text[start + at]];
    if (one !== other) return utf16Rank(one) - utf16Rank(other);
  }
  return term.length - (end - start);
}

/**
 * UTF-8 sorts by code point. UTF-16 differs in one thing: characters beyond U+FFFF (first byte 0xf0 and up) begin with a surrogate, which
 * comes before U+E000 to U+FFFF (first bytes 0xee and 0xef).
 */
function utf16Rank(byte: number): number {
  return byte === 0xee || byte === 0xef ? byte + 0x10 : byte;
}
