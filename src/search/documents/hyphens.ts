/**
 * @file Words cut at the ends of lines. Whether a hyphen there belongs to the word ("long-term") or to the line ("ac-cepts") is decided by how the
 * same document writes the word elsewhere.
 */

/** Hyphens that stand only where a line ends, or that a typesetter put in. */
const alwaysJoins = new Set(["\u2010", "\u00ad"]);
const partOfWord = /[\p{L}\p{M}\p{N}]/u;
const words = /[\p{L}\p{M}\p{N}]+(?:[-\u2010][\p{L}\p{M}\p{N}]+)*/gu;
/** Shorter parts are words of their own too often: "over-all" is "overall". */
const shortestPart = 4;
/** Endings that the same word may have elsewhere: "accept" is evidence for "accepts". */
const longestEnding = 3;

/** Beginnings of words that are written as one, though their parts are words: "under-stand", "with-out". */
const closedHeads = new Set("any every inter never over some super them under what when where with your".split(" "));

/** The texts of pages in their order, with the words joined that are cut at the ends of lines and pages. */
export function joinCutWords(texts: readonly string[]): string[] {
  if (!texts.some((text) => /[-\u2010\u00ad](?:\n|$)/.test(text))) return [...texts];
  const spelling = new Spelling(texts);
  const joined = texts.map((text) => {
    const [first, ...others] = text.split("\n");
    const lines = [first];
    for (const line of others) {
      const before = joinedEnd(lines[lines.length - 1], line, spelling);
      if (before === undefined) lines.push(line);
      else lines[lines.length - 1] = before + line;
    }
    return lines.join("\n");
  });
  for (let page = 0; page + 1 < joined.length; page++) {
    const before = joinedEnd(joined[page], joined[page + 1], spelling);
    if (before === undefined) continue;
    const [rest] = /^\S*/.exec(joined[page + 1]) as RegExpExecArray;
    joined[page] = before + rest;
    joined[page + 1] = joined[page + 1].slice(rest.length).trimStart();
  }
  return joined;
}

/** A line as it stands before the rest of a word that begins the next one; undefined where no word is cut. */
function joinedEnd(line: string, next: string, spelling: Spelling): string | undefined {
  const hyphen = line.at(-1) ?? "";
  const isJoined = alwaysJoins.has(hyphen);
  if (!isJoined && hyphen !== "-") return undefined;
  const left = lastWord(line.slice(0, -1));
  const right = firstWord(next);
  if (left === "" || right === "") return undefined;
  return !isJoined && spelling.hasHyphen(left, right) ? line : line.slice(0, -1);
}

/** How a document writes its words. */
class Spelling {
  /** Words without hyphens. */
  readonly #words = new Map<string, number>();
  /** Words without their last letters. */
  readonly #stems = new Set<string>();
  /** Words with hyphens, and their parts. */
  readonly #compounds = new Map<string, number>();
  readonly #parts = new Set<string>();

  constructor(texts: readonly string[]) {
    for (const text of texts) {
      // What is cut at a line's end is no evidence.
      let isCut = false;
      for (const { 0: found, index } of text.matchAll(words)) {
        const wasCut = isCut;
        const behind = text.slice(index + found.length, index + found.length + 2);
        isCut = /^[-\u2010\u00ad](?:\n|$)/.test(behind);
        if (!isCut && !wasCut) this.#add(found.toLowerCase());
      }
    }
  }

  /**
   * Whether the hyphen between two parts of a word belongs to it. What the document writes more often decides; else it does beside numbers and
   * capitals, and between two parts that the document has as words.
   */
  hasHyphen(left: string, right: string): boolean {
    const [head, tail] = [left.slice(left.lastIndexOf("-") + 1), right].map((part) => part.toLowerCase());
    const compound = this.#compounds.get(`${head}-${tail}`) ?? 0;
    const word = this.#countOf(head, tail);
    if (compound !== word) return compound > word;
    const isCapital = /^\p{Lu}/u.test(right) && !/^\p{Lu}+$/u.test(left + right);
    if (isCapital || !/(?:\p{Ll}|\p{Lu}\p{Lu})\p{M}*$/u.test(left) || /^\p{N}/u.test(right) || left.includes("-"))
      return true;
    const [isCompoundHead, isCompoundTail] = [this.#parts.has(head), this.#parts.has(tail)];
    if (!(isCompoundHead || this.#words.has(head)) || !(isCompoundTail || this.#words.has(tail))) return false;
    if (isCompoundHead || isCompoundTail) return true;
    return head.length >= shortestPart && tail.length >= shortestPart && !closedHeads.has(head);
  }

  #add(word: string): void {
    if (/[-\u2010]/.test(word)) {
      const parts = word.split(/[-\u2010]/);
      for (const part of parts) this.#parts.add(part);
      for (let place = 1; place < parts.length; place++) count(this.#compounds, `${parts[place - 1]}-${parts[place]}`);
      return;
    }
    count(this.#words, word);
    for (let ending = 1; ending <= longestEnding; ending++) this.#stems.add(word.slice(0, -ending));
  }

  /** How often the parts are written as one word, with this or another ending. */
  #countOf(head: string, tail: string): number {
    const joined = head + tail;
    const found = this.#words.get(joined);
    if (found !== undefined) return found;
    if (this.#stems.has(joined)) return 1;
    for (let ending = 1; ending <= longestEnding && tail.length - ending >= 2; ending++)
      if (this.#words.has(joined.slice(0, -ending))) return 1;
    return 0;
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The word that a text ends with; with hyphens inside. */
function lastWord(text: string): string {
  let start = text.length;
  while (start > 0 && (partOfWord.test(text[start - 1]) || (text[start - 1] === "-" && start < text.length))) start--;
  return text.slice(start).replace(/^-+/, "");
}

function firstWord(text: string): string {
  let end = 0;
  while (end < text.length && partOfWord.test(text[end])) end++;
  return text.slice(0, end);
}
