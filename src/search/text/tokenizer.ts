/**
 * @file Words of a text, cut as Lucene's StandardTokenizer cuts them: the word-break rules of Unicode annex 29
 * (WB4–WB13c), one token per ideograph or hiragana sign, South-East-Asian runs kept whole, tokens longer than 255
 * characters chopped.
 *
 * Departures: symbols are not tokens (Lucene 10.6 makes one of each emoji and of much that Unicode counts with them: ©, ®, ™, ★, ☐, ↔);
 * character classes come from the running Node's Unicode version, Lucene's from 9.0 (so the colon is still a letter-joiner here, as it is there).
 */

/** Longest token in UTF-16 units; longer ones are chopped into pieces of this length, as in Lucene. */
export const maxTokenLength = 255;

const unknown = 0;
const other = 1;
const letter = 2;
const digit = 3;
const underscore = 4;
/** Joins two letters: colon, middle dot. */
const midLetter = 5;
/** Joins two digits: comma, semicolon. */
const midNumber = 6;
/** Joins two letters or two digits: full stop, apostrophes. */
const midBoth = 7;
/** Combining marks, joiners and format characters: part of whatever they follow. */
const extend = 8;
const katakana = 9;
const complex = 10;
const single = 11;
const hebrew = 12;
const doubleQuote = 13;
/** A mark of a South-East-Asian script: of what it follows, or the beginning of a run. */
const complexMark = 14;

const tests: readonly (readonly [pattern: RegExp, kind: number])[] = [
  [/[\u200b]/u, other],
  // What ends sentences and stands for money, numbers and moons in Thai, Myanmar, Khmer.
  [/[\u0e4f\u0e5a\u0e5b\u104a-\u104f\u17d4-\u17d6\u17d8-\u17db\u17f0-\u17f9\u19e0-\u19ff]/u, other],
  // Letters to annex 29, whatever else they are.
  [/[\u02c2-\u02c5\u02d2-\u02d7\u02de-\u02df\u02ed\u02ef-\u02ff\ua720\ua721\ua789\ua78a\uab5b]/u, letter],
  [
    /[\u055b\u055c\u055e\u05f3\u3005\u303b\u24b6-\u24e9\u{1f130}-\u{1f149}\u{1f150}-\u{1f169}\u{1f170}-\u{1f189}]/u,
    letter,
  ],
  // Marks of South-East-Asian scripts belong to their runs, so these scripts are asked for before the marks.
  [
    /[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tai_Le}\p{Script=New_Tai_Lue}\p{Script=Tai_Tham}\p{Script=Tai_Viet}\p{Script=Ahom}]/u,
    complex,
  ],
  [/[\p{M}\p{Cf}\uff9e\uff9f]/u, extend],
  [/[\p{Script=Han}\p{Script=Hiragana}]/u, single],
  [/[\p{Script=Katakana}\u30fc\uff70\u3031-\u3035\u309b\u309c\u30a0]/u, katakana],
  [/[\p{Nd}\u066b]/u, digit],
  [/[\p{Pc}\u202f]/u, underscore],
  [/[:\u00b7\u0387\u05f4\u2027\ufe13\ufe55\uff1a]/u, midLetter],
  [/[.'\u2018\u2019\u2024\ufe52\uff07\uff0e]/u, midBoth],
  [/[,;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b]/u, midNumber],
  [/"/u, doubleQuote],
  [/[\p{Script=Hebrew}]/u, hebrew],
  [/[\p{L}\p{Nl}]/u, letter],
];

const hebrewLetter = /\p{L}/u;

/** Classes found so far, by code point; filled as characters are met. */
const classes = new Uint8Array(0x110000);

function classOf(codePoint: number): number {
  const known = classes[codePoint];
  return known === unknown ? (classes[codePoint] = classify(codePoint)) : known;
}

function classify(codePoint: number): number {
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return other;
  const character = String.fromCodePoint(codePoint);
  const kind = tests.find(([pattern]) => pattern.test(character))?.[1] ?? other;
  // Hebrew points and punctuation are not letters.
  if (kind === hebrew && !hebrewLetter.test(character)) return other;
  return kind === complex ? kindOfComplex(character) : kind;
}

/** South-East-Asian scripts have digits of their own, which are digits first. */
function kindOfComplex(character: string): number {
  if (/\p{Nd}/u.test(character)) return digit;
  return /\p{M}/u.test(character) ? complexMark : complex;
}

/**
 * Calls `visit(start, end)` for each token of `text` in order; offsets are UTF-16 units, `end` exclusive.
 */
export function forEachToken(text: string, visit: (start: number, end: number) => void): void {
  const length = text.length;
  let at = 0;
  while (at < length) {
    const codePoint = text.codePointAt(at) as number;
    const kind = classOf(codePoint);
    const next = at + (codePoint > 0xffff ? 2 : 1);
    if (kind === letter || kind === digit || kind === katakana || kind === hebrew || kind === underscore) {
      const end = endOfWord(text, next, kind);
      if (kind !== underscore || hasWord(text, at, end)) chop(at, end, visit);
      at = end;
    } else if (kind === complex || kind === complexMark) {
      const end = endOfRun(text, next);
      chop(at, end, visit);
      at = end;
    } else if (kind === single) {
      const end = skipExtend(text, next);
      visit(at, end);
      at = end;
    } else {
      at = next;
    }
  }
}

/** The end of the word whose first character, of class `kind`, ends at `at`: the pair rules WB5–WB13b. */
function endOfWord(text: string, at: number, kind: number): number {
  let previous = kind;
  let end = skipExtend(text, at);
  while (end < text.length) {
    const codePoint = text.codePointAt(end) as number;
    const current = classOf(codePoint);
    const after = skipExtend(text, end + (codePoint > 0xffff ? 2 : 1));
    if (joins(previous, current)) {
      previous = current;
      end = after;
      continue;
    }
    if (after < text.length && bridges(previous, current, classOf(text.codePointAt(after) as number))) {
      // The joiner and the character behind it both belong to the word.
      const last = text.codePointAt(after) as number;
      previous = classOf(last);
      end = skipExtend(text, after + (last > 0xffff ? 2 : 1));
      continue;
    }
    // WB7a: a Hebrew letter keeps its apostrophe, which marks an abbreviation.
    return previous === hebrew && codePoint === 0x27 ? after : end;
  }
  return end;
}

/** Whether two neighbouring characters belong to one word. */
function joins(previous: number, current: number): boolean {
  switch (current) {
    case letter:
    case hebrew:
    case digit:
      return previous === letter || previous === digit || previous === hebrew || previous === underscore;
    case katakana:
      return previous === katakana || previous === underscore;
    case underscore:
      return true;
    default:
      return false;
  }
}

/** Whether `current` joins the characters on both sides of it into one word. */
function bridges(previous: number, current: number, next: number): boolean {
  const letters = (previous === letter || previous === hebrew) && (next === letter || next === hebrew);
  const digits = previous === digit && next === digit;
  switch (current) {
    case midLetter:
      return letters;
    case midNumber:
      return digits;
    case midBoth:
      return letters || digits;
    case doubleQuote:
      return previous === hebrew && next === hebrew;
    default:
      return false;
  }
}

function skipExtend(text: string, at: number): number {
  while (at < text.length) {
    const codePoint = text.codePointAt(at) as number;
    if (codePoint < 0x80) return at;
    const kind = classOf(codePoint);
    if (kind !== extend && kind !== complexMark) return at;
    at += codePoint > 0xffff ? 2 : 1;
  }
  return at;
}

function endOfRun(text: string, at: number): number {
  let end = skipExtend(text, at);
  while (end < text.length) {
    const codePoint = text.codePointAt(end) as number;
    if (classOf(codePoint) !== complex) break;
    end = skipExtend(text, end + (codePoint > 0xffff ? 2 : 1));
  }
  return end;
}

/** Whether a stretch that begins with an underscore holds anything but underscores. */
function hasWord(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const kind = classOf(text.codePointAt(at) as number);
    if (kind !== underscore && kind !== extend) return true;
  }
  return false;
}

function chop(start: number, end: number, visit: (start: number, end: number) => void): void {
  for (let from = start; from < end; from += maxTokenLength) visit(from, Math.min(end, from + maxTokenLength));
}
