/**
 * @file A text cut into passages of at most so many words, at the ends of paragraphs where it can be, else of sentences, of lines, at white
 * space, and inside an unbroken run of characters only where one word of it ends (Chinese and Thai have no spaces). Words are those of the
 * search engine's tokenizer: they depend on no model. 100 English words are about 130 tokens of a language model.
 */
import { forEachToken } from "../text/tokenizer.js";

export interface ChunkSettings {
  /** Most words of a passage. Search-R1's Wikipedia passages have 100. */
  words: number;
  /** Words that a passage repeats of the one before it. */
  overlap: number;
}

export const defaultChunks: ChunkSettings = { words: 100, overlap: 0 };

/** Text between words does not count; a passage with more of it per word than this is cut all the same. UTF-16 units. */
const charactersPerWord = 60;

/** Where a text may be cut, best first: behind a blank line, a sentence, a line, white space. */
const whiteSpace = /\s+/g;
const breaks = [/\n[^\S\n]*\n\s*/g, /(?:[.!?…]["'”’)\]]*\s+|[。！？]["'”’」』）]*\s*)/g, /\n\s*/g, whiteSpace];

/** A text as passages, in order. Together they hold every word of it; what holds no word is dropped. */
export function cutText(text: string, { words: budget, overlap }: ChunkSettings): string[] {
  const words = wordsOf(text);
  const passages: string[] = [];
  let from = 0;
  for (let first = 0; first < words.count;) {
    const cut = cutPlace(text, words, from, first, budget);
    passages.push(text.slice(from, cut).trim());
    const next = words.firstFrom(cut, first);
    if (next >= words.count) break;
    const repeated = overlap === 0 ? next : Math.max(first + 1, next - overlap);
    from = repeated === next ? cut : afterSpace(text, words.starts[repeated], words.starts[first]);
    first = words.firstFrom(from, first);
  }
  return passages;
}

/** Number of words of a text. */
export function countWords(text: string): number {
  let count = 0;
  forEachToken(text, () => void count++);
  return count;
}

/** Where the passage that begins at `from` with the word `first` ends: within its budget, as late as the best kind of break allows. */
function cutPlace(text: string, words: Words, from: number, first: number, budget: number): number {
  const longest = from + budget * charactersPerWord;
  let behind = Math.min(words.count, first + budget);
  while (behind > first + 1 && words.ends[behind - 1] > longest) behind--;
  const latest = Math.max(words.ends[behind - 1], Math.min(longest, words.starts[behind] ?? text.length));
  if (latest === text.length) return latest;
  // From the middle of the budget on: a passage that ends earlier would be needlessly short.
  const middle = words.ends[first + ((behind - first - 1) >> 1)];
  for (const kind of breaks) {
    const place = lastBreak(text, kind, kind === whiteSpace ? words.ends[first] : middle, latest);
    if (place !== undefined) return place;
  }
  return notInsidePair(text, latest);
}

/** The end of the last such break between two places, or undefined. Both places are ends and beginnings of words, so no word is cut. */
function lastBreak(text: string, kind: RegExp, earliest: number, latest: number): number | undefined {
  let last: number | undefined;
  for (const { index, 0: found } of text.slice(earliest, latest).matchAll(kind)) last = earliest + index + found.length;
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

/** The words of a text by their places. */
class Words {
  count = 0;
  starts: Uint32Array = new Uint32Array(1024);
  ends: Uint32Array = new Uint32Array(1024);

  add(start: number, end: number): void {
    if (this.count === this.starts.length) {
      this.starts = grown(this.starts);
      this.ends = grown(this.ends);
    }
    this.starts[this.count] = start;
    this.ends[this.count++] = end;
  }

  /** The first word that begins at or behind a place, looked for from a word on. */
  firstFrom(place: number, from: number): number {
    let word = from;
    while (word < this.count && this.starts[word] < place) word++;
    return word;
  }
}

function wordsOf(text: string): Words {
  const words = new Words();
  forEachToken(text, (start, end) => words.add(start, end));
  words.starts = words.starts.subarray(0, words.count);
  words.ends = words.ends.subarray(0, words.count);
  return words;
}

function grown(numbers: Uint32Array): Uint32Array {
  const larger = new Uint32Array(numbers.length * 2);
  larger.set(numbers);
  return larger;
}
