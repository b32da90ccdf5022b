/**
 * @file A text cut into passages of at most so many words and tokens, at the ends of paragraphs where it can be, else of sentences, of lines, at
 * white space, and inside an unbroken run of characters only where one word of it ends (Chinese and Thai have no spaces). Tables and code are
 * cut between lines, and a table's header is repeated. Words are those of the search engine's tokenizer, and of `Intl.Segmenter` in scripts
 * without spaces: they depend on no model. 100 English words are about 130 tokens of a language model.
 */
import { forEachToken } from "../text/tokenizer.js";
import { leastTokensOfWord, TokenEstimate } from "./token-estimate.js";

export interface ChunkSettings {
  /** Most words of a passage. Search-R1's Wikipedia passages have 100. */
  words: number;
  /** Words that a passage repeats of the one before it. */
  overlap: number;
  /** Most tokens of an observation with one passage, its title and what stands around it included. Absent: words alone bound it. */
  tokens?: number;
  /** A section of fewer words is merged with its neighbour, where both fit one passage. Absent: none is. */
  fewest?: number;
  /** Folder or GGUF file of the model whose tokenizer counts them. Absent: they are estimated. */
  tokenizer?: string;
}

export const defaultChunks: ChunkSettings = { words: 100, overlap: 0, tokens: 160, fewest: 15 };

/** What of a text must stay together. Places are UTF-16 units. */
export interface Layout {
  /** Beginnings of what stays with the line before it, ascending: an explanation with its term, code with the sentence before it. */
  kept: readonly number[];
  /** Tables and code, ascending: cut between lines. */
  lines: readonly Lines[];
}

interface Lines {
  start: number;
  end: number;
  /** Where the header ends that each part repeats; `start` where there is none. */
  headerEnd: number;
}

/** What a passage may hold. */
export interface Room {
  words: number;
  overlap: number;
  /** Of the text alone. */
  tokens: number;
  estimate: TokenEstimate;
}

/** A passage, and where in the text it begins, a repeated header apart. */
export interface Piece {
  text: string;
  start: number;
}

const plain: Layout = { kept: [], lines: [] };

/** Text between words does not count; a passage with more of it per word than this is cut all the same. UTF-16 units. */
export const charactersPerWord = 60;

/** Where a text may be cut, best first: behind a blank line, a sentence, a line, white space. */
const whiteSpace = /\s+/g;
const sentence = /(?:[.!?…]["'”’)\]]*\s+|[。！？]["'”’」』）]*\s*)/g;
const breaks = [/\n[^\S\n]*\n\s*/g, sentence, /\n(?:[^\S\n]*\n)*/g, whiteSpace];

/** A text as passages, in order. Together they hold every word of it once, but for overlap and repeated headers; what holds no word is dropped. */
export function cutText(text: string, { words, overlap, tokens }: ChunkSettings): string[] {
  const estimate = new TokenEstimate(text);
  return cutPieces(text, { words, overlap, tokens: tokens ?? Infinity, estimate }).map((piece) => piece.text);
}

/** The same, with what of the text stays together. */
export function cutPieces(text: string, room: Room, layout: Layout = plain): Piece[] {
  if (isSurelyWhole(text, room))
    return hasWord(text) ? [{ text: trimmed(text, 0, text.length, layout), start: 0 }] : [];
  const words = wordsOf(text, room.estimate);
  const pieces: Piece[] = [];
  let from = 0;
  for (let first = 0; first < words.count;) {
    const header = headerAt(text, words.starts[first], layout, room);
    const left = header === "" ? room : { ...room, tokens: room.tokens - room.estimate.of(header) };
    const cut = cutPlace(text, words, { from, first }, left, layout);
    pieces.push({ text: header + trimmed(text, from, cut, layout), start: words.starts[first] });
    const next = words.firstFrom(cut, first);
    if (next >= words.count) break;
    const repeated = room.overlap === 0 ? next : Math.max(first + 1, next - room.overlap);
    from = repeated === next ? cut : afterSpace(text, words.starts[repeated], words.starts[first]);
    first = words.firstFrom(from, first);
  }
  return pieces;
}

function hasWord(text: string): boolean {
  return /[A-Za-z0-9]/.test(text) || countWords(text) > 0;
}

/** Whether a text has so few tokens that its words need not be counted: each has a letter or a digit. Most sections are short. */
function isSurelyWhole(text: string, { words, tokens, estimate }: Room): boolean {
  // What is much longer than English words of so many tokens is not estimated twice.
  if (text.length > Math.min(tokens * 6, words * charactersPerWord)) return false;
  return estimate.of(text) <= Math.min(tokens, words * leastTokensOfWord);
}

/** Number of words of a text. */
export function countWords(text: string): number {
  let count = 0;
  forEachWord(text, () => void count++);
  return count;
}

/** A repeated header takes at most this share of a passage. */
const headerShare = 0.3;

/** The header of the table in whose middle a place lies. */
function headerAt(text: string, place: number, { lines }: Layout, { tokens, estimate }: Room): string {
  const table = lines.find(({ start, end, headerEnd }) => headerEnd > start && place >= headerEnd && place < end);
  if (table === undefined) return "";
  const header = `${text.slice(table.start, table.headerEnd).trim()}\n`;
  return estimate.of(header) <= tokens * headerShare ? header : "";
}

/** The text of a passage; the first line of code keeps its indentation. */
function trimmed(text: string, from: number, to: number, { lines }: Layout): string {
  const isCode = lines.some(({ start, end }) => from >= start && from < end);
  const part = text.slice(from, to);
  return isCode ? part.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd() : part.trim();
}

/** Where the passage that begins at `from` with the word `first` ends: within its room, as late as the best kind of break allows. */
function cutPlace(
  text: string,
  words: Words,
  { from, first }: { from: number; first: number },
  room: Room,
  layout: Layout,
): number {
  const budget = evenShare(words, first, room);
  const longest = from + budget.words * charactersPerWord;
  let behind = Math.min(words.count, first + budget.words);
  while (behind > first + 1 && (words.ends[behind - 1] > longest || words.tokens(first, behind) > budget.tokens))
    behind--;
  const latest = Math.max(
    words.ends[behind - 1],
    Math.min(longest, behind < words.count ? words.starts[behind] : text.length),
  );
  if (latest === text.length) return latest;
  // From the middle of the budget on: a passage that ends earlier would be needlessly short.
  const middle = words.ends[first + ((behind - first - 1) >> 1)];
  for (const isStrict of layout.kept.length > 0 ? [true, false] : [false]) {
    for (const kind of breaks) {
      if (isStrict && kind === whiteSpace) continue;
      const earliest = kind === whiteSpace ? words.ends[first] : middle;
      const place = lastBreak(text, { kind, earliest, latest }, layout, isStrict);
      if (place !== undefined) return place;
    }
  }
  return notInsidePair(text, latest);
}

/** Up to so many passages, what is left is cut into parts of about one size: the last one would otherwise often be a few words. */
const mostEven = 4;
const evenMargin = 1.2;

function evenShare(words: Words, first: number, { words: mostWords, tokens }: Room): Pick<Room, "words" | "tokens"> {
  const left = { words: words.count - first, tokens: words.tokens(first, words.count) };
  const parts = { words: Math.ceil(left.words / mostWords), tokens: Math.ceil(left.tokens / Math.max(1, tokens)) };
  if (Math.max(parts.words, parts.tokens) > mostEven) return { words: mostWords, tokens };
  return parts.words >= parts.tokens
    ? { words: Math.min(mostWords, Math.ceil((left.words / parts.words) * evenMargin) + 1), tokens }
    : { words: mostWords, tokens: Math.min(tokens, (left.tokens / parts.tokens) * evenMargin) };
}

/** The end of the last such break between two places, or undefined. Both places are ends and beginnings of words, so no word is cut. */
function lastBreak(
  text: string,
  { kind, earliest, latest }: { kind: RegExp; earliest: number; latest: number },
  { kept, lines }: Layout,
  isStrict: boolean,
): number | undefined {
  let last: number | undefined;
  for (const { index, 0: found } of text.slice(earliest, latest).matchAll(kind)) {
    const [start, end] = [earliest + index, earliest + index + found.length];
    if (isStrict && kept.some((place) => place > start && place <= end)) continue;
    if (kind === sentence && lines.some((part) => start >= part.start && end < part.end)) continue;
    last = end;
  }
  return last;
}

/** The beginning of what is written together with the character at a place; the place itself where that begins before `earliest`. */
function afterSpace(text: string, place: number, earliest: number): number {
  for (let start = place; start > earliest; start--) if (/\s/.test(text[start - 1])) return start;
  return place;
}

function notInsidePair(text: string, place: number): number {
  const code = text.charCodeAt(place);
  return code >= 0xdc00 && code <= 0xdfff ? place + 1 : place;
}

/** Words for which memory is kept from one text to the next. */
const mostKept = 1 << 16;

/** The words of a text by their places, with the tokens up to each. */
class Words {
  count = 0;
  starts: Uint32Array = new Uint32Array(1024);
  ends: Uint32Array = new Uint32Array(1024);
  /** Up to the start and the end of each word, from the beginning of the text. */
  #tokensBefore = new Float64Array(1024);
  #tokensBehind = new Float64Array(1024);
  #tokens = 0;

  add(start: number, end: number, before: number, own: number): void {
    if (this.count === this.starts.length) this.#reserve(this.count * 2);
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.#tokensBefore[this.count] = this.#tokens + before;
    this.#tokensBehind[this.count++] = this.#tokens += before + own;
  }

  clear(): void {
    this.count = 0;
    this.#tokens = 0;
    if (this.starts.length > mostKept) this.#reserve(mostKept);
  }

  /** What follows the last word. */
  finish(behind: number): void {
    this.#tokens += behind;
  }

  #reserve(words: number): void {
    this.starts = resized(this.starts, words);
    this.ends = resized(this.ends, words);
    this.#tokensBefore = resized(this.#tokensBefore, words);
    this.#tokensBehind = resized(this.#tokensBehind, words);
  }

  /** Tokens from the end of the word before `first` to the beginning of the word `behind`. */
  tokens(first: number, behind: number): number {
    const before = first === 0 ? 0 : this.#tokensBehind[first - 1];
    return (behind < this.count ? this.#tokensBefore[behind] : this.#tokens) - before;
  }

  /** The first word that begins at or behind a place, looked for from a word on. */
  firstFrom(place: number, from: number): number {
    let word = from;
    while (word < this.count && this.starts[word] < place) word++;
    return word;
  }
}

/** Of the text being cut: most are short, and there are many. */
const scratch = new Words();

function wordsOf(text: string, estimate: TokenEstimate): Words {
  const words = scratch;
  words.clear();
  let last = 0;
  const add = (start: number, end: number): void => {
    // One space is what mostly stands between two.
    const isSpace = start === last || (start === last + 1 && text.charCodeAt(last) === 32);
    words.add(start, end, isSpace ? 0 : estimate.between(text, last, start), estimate.between(text, start, end));
    last = end;
  };
  forEachWord(text, add);
  words.finish(estimate.between(text, last, text.length));
  return words;
}

/** Scripts whose words are written together, and whose runs the tokenizer leaves whole: Thai, Lao, Myanmar, Khmer and their neighbours. */
const runsOfWords = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf]/;
let segmenter: Intl.Segmenter | undefined;

function forEachWord(text: string, visit: (start: number, end: number) => void): void {
  if (!runsOfWords.test(text)) return forEachToken(text, visit);
  const words = (segmenter ??= new Intl.Segmenter(undefined, { granularity: "word" }));
  forEachToken(text, (start, end) => {
    const run = text.slice(start, end);
    if (!runsOfWords.test(run)) return visit(start, end);
    for (const { index, segment: word } of words.segment(run)) visit(start + index, start + index + word.length);
  });
}

function resized<Numbers extends Uint32Array | Float64Array>(numbers: Numbers, length: number): Numbers {
  const other = new (numbers.constructor as new (length: number) => Numbers)(length);
  other.set(numbers.subarray(0, length));
  return other;
}
