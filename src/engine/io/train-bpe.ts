/**
 * @file Trains a byte-level BPE tokenizer (Sennrich et al., arXiv:1508.07909; bytes as in GPT-2) and writes it as a
 * Hugging Face `tokenizer.json`. Digits are split one by one, special tokens are cut out before anything else.
 */
import { addedToken, bpeModel, byteLevel, byteLevelDecoder } from "./tokenizer-json.js";

interface BpeOptions {
  /** Entries in all: special tokens, the 256 bytes, merges. */
  vocabSize: number;
  /** In the order of their ids, from 0. Each is one token wherever it is written. */
  specialTokens: readonly string[];
  /** Pairs seen less often are not merged. Default 2. */
  minCount?: number;
}

export type TokenizerJson = ReturnType<typeof render>;

/** GPT-2's pattern, with digits alone: what is never merged across. */
const piecePattern = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** A distinct piece: its symbols, and how often it occurs. */
interface Word {
  symbols: number[];
  count: number;
}

/** Learns merges from texts (special tokens in them are ignored). Ties go to the pair of lower ids, so the result is a pure function of the input. */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): TokenizerJson {
  const { specialTokens, vocabSize, minCount = 2 } = options;
  const names = [...specialTokens, ...byteCharacters()];
  const words = countWords(texts, specialTokens);
  const merges: [string, string][] = [];
  const index = new PairIndex(words);
  while (names.length < vocabSize) {
    const pair = index.best(minCount);
    if (!pair) break;
    const merged = names.length;
    merges.push([names[pair[0]], names[pair[1]]]);
    names.push(names[pair[0]] + names[pair[1]]);
    index.merge(pair, merged);
  }
  return render(names, merges, specialTokens);
}

/** GPT-2's visible stand-ins for the 256 bytes: printable ones stand for themselves, the rest move to U+0100 and on. */
export function byteCharacters(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let moved = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : 256 + moved++));
}

/** The distinct pieces of all texts as byte symbols; the bytes' ids follow the special tokens'. */
function countWords(texts: Iterable<string>, specialTokens: readonly string[]): Word[] {
  const counts = new Map<string, number>();
  const cut = specialTokens.length > 0 ? new RegExp(specialTokens.map(escapeRegExp).join("|"), "g") : /(?!)/g;
  for (const text of texts) {
    for (const part of text.split(cut)) {
      for (const [piece] of part.matchAll(piecePattern)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    }
  }
  const encoder = new TextEncoder();
  return [...counts].map(([piece, count]) => ({
    symbols: [...encoder.encode(piece)].map((byte) => specialTokens.length + byte),
    count,
  }));
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Counts of adjacent pairs, kept up to date while words are merged. */
class PairIndex {
  readonly words: Word[];
  readonly counts = new Map<number, number>();
  readonly places = new Map<number, Set<Word>>();

  constructor(words: Word[]) {
    this.words = words;
    for (const word of words) this.#add(word, 1);
  }

  /** The most frequent pair. */
  best(minCount: number): [number, number] | undefined {
    let bestKey = -1;
    let bestCount = minCount - 1;
    for (const [key, count] of this.counts) {
      if (count > bestCount || (count === bestCount && key < bestKey && bestKey >= 0))
        [bestKey, bestCount] = [key, count];
    }
    return bestKey < 0 ? undefined : [Math.floor(bestKey / pairBase), bestKey % pairBase];
  }

  merge([left, right]: readonly [number, number], merged: number): void {
    for (const word of [...(this.places.get(left * pairBase + right) ?? [])]) {
      this.#add(word, -1);
      const symbols: number[] = [];
      for (let at = 0; at < word.symbols.length; at++) {
        const isPair = word.symbols[at] === left && word.symbols[at + 1] === right;
        symbols.push(isPair ? merged : word.symbols[at]);
        if (isPair) at += 1;
      }
      word.symbols = symbols;
      this.#add(word, 1);
    }
  }

  #add(word: Word, sign: 1 | -1): void {
    for (let at = 1; at < word.symbols.length; at++) {
      const key = word.symbols[at - 1] * pairBase + word.symbols[at];
      const count = (this.counts.get(key) ?? 0) + sign * word.count;
      if (count > 0) this.counts.set(key, count);
      else this.counts.delete(key);
      const words = this.places.get(key) ?? new Set();
      if (sign > 0) words.add(word);
      else words.delete(word);
      this.places.set(key, words);
    }
  }
}

/** Larger than any vocabulary, so that a pair is one number. */
const pairBase = 0x400000;

function render(names: readonly string[], merges: [string, string][], specialTokens: readonly string[]) {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => addedToken(id, content, true)),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Digits", individual_digits: true }, byteLevel(true)],
    },
    post_processor: null,
    decoder: byteLevelDecoder,
    model: bpeModel(Object.fromEntries(names.map((name, id) => [name, id])), merges),
  };
}
