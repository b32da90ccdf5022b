/**
 * @file How many tokens of a language model a text will take, told from its letters: no model is known when documents are cut. The weights are
 * the 0.95-quantile regression of SmolLM2's counts, which are the largest of five tokenizers for English: `scripts/token-estimate.ts`, with the
 * shares of texts that take more, and the figures in docs/search/documents.md.
 */

/** What an observation with one passage takes around its title and text: 15 to 18 by tokenizer. */
export const frameTokens = 18;

const weights = {
  /** A run of ASCII letters, and each letter of it behind the fifth. */
  word: 0.94,
  longLetter: 0.11,
  /** A capital inside of a run, behind a small letter (camelCase) or behind a capital. */
  camel: 0.95,
  capital: 0.29,
  digit: 1.26,
  /** A run of ASCII marks, and each mark behind its first. */
  marks: 1.28,
  mark: 0.11,
  /** One or several line breaks. */
  lineBreak: 2,
  /** Each letter behind the third of a run, in a text that is not English. */
  foreignLetter: 0.42,
} as const;

/** No word of the search engine's has fewer. */
export const leastTokensOfWord = weights.word;

/** Tokens of one character (UTF-16 unit) beyond ASCII, by the last code of each stretch. */
const beyond: readonly (readonly [last: number, tokens: number])[] = [
  // Latin with diacritics; Greek and Cyrillic; Armenian, Hebrew, Arabic.
  [0x24f, 3.1],
  [0x52f, 1.05],
  [0x8ff, 2.1],
  // Scripts of India; Thai and Lao; Tibetan, Myanmar, Georgian, Ethiopic; Khmer.
  [0xdff, 3.15],
  [0x1fff, 3.05],
  // Punctuation and symbols.
  [0x2fff, 1.4],
  [0x303f, 1.4],
  // Kana; Han; the rest of Asia; Hangul; halves of pairs; private use, forms of width.
  [0x33ff, 2.8],
  [0x9fff, 1.95],
  [0xabff, 3],
  [0xd7ff, 2.8],
  [0xdfff, 1.6],
  [0xffff, 2],
];

const [smallA, smallZ] = [97, 122];
const other = 0;
const letter = 1;
const capital = 2;
const digit = 3;
const space = 4;
const lineBreak = 5;
const kinds = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[a-z]/.test(character)) return letter;
  if (/[A-Z]/.test(character)) return capital;
  if (/\d/.test(character)) return digit;
  if (character === "\n") return lineBreak;
  return /\s/.test(character) ? space : other;
});

const beyondAscii = Float32Array.from({ length: 0x10000 >> 4 }, (_, stretch) => {
  const code = stretch << 4;
  return beyond.find(([last]) => code <= last)?.[1] ?? 2;
});

/** Texts of one language: words of other languages than English in Latin letters take more tokens. */
export class TokenEstimate {
  readonly #foreignLetter: number;

  /** @param sample of the text, for its language */
  constructor(sample: string) {
    this.#foreignLetter = isForeign(sample) ? weights.foreignLetter : 0;
  }

  /** Tokens of a part of a text; parts that meet between words add up. */
  between(text: string, from: number, to: number): number {
    let tokens = 0;
    for (let at = from; at < to;) {
      const code = text.charCodeAt(at);
      if (code > 127) {
        tokens += beyondAscii[code >> 4];
        at++;
        continue;
      }
      const kind = kinds[code];
      let end = at + 1;
      if (kind === letter || kind === capital) {
        let before = code;
        for (; end < to; end++) {
          const next = text.charCodeAt(end);
          const small = next | 0x20;
          if (small < smallA || small > smallZ) break;
          if (next < smallA) tokens += before < smallA ? weights.capital : weights.camel;
          before = next;
        }
        const length = end - at;
        tokens += weights.word;
        if (length > 5) tokens += (length - 5) * weights.longLetter;
        if (length > 3) tokens += (length - 3) * this.#foreignLetter;
      } else if (kind === digit) tokens += weights.digit;
      else if (kind === lineBreak || kind === other) {
        while (end < to && text.charCodeAt(end) < 128 && kinds[text.charCodeAt(end)] === kind) end++;
        tokens += kind === lineBreak ? weights.lineBreak : weights.marks + (end - at - 1) * weights.mark;
      }
      at = end;
    }
    return tokens;
  }

  of(text: string): number {
    return this.between(text, 0, text.length);
  }
}

/** Enough of a text to tell its language by, in UTF-16 units. */
export const sampleLength = 2_000;

const frequent = new Set("the of and to in is for or be that this with it as are".split(" "));

/** A text with Latin words of which hardly any is one of the most frequent ones of English. Code and names alone are taken for foreign, too. */
function isForeign(sample: string): boolean {
  const words = sample.slice(0, sampleLength).match(/[A-Za-z\u00c0-\u024f]{2,}/g) ?? [];
  const english = words.filter((word) => word.length < 5 && frequent.has(word.toLowerCase()));
  return words.length >= 20 && english.length < words.length * 0.06;
}
