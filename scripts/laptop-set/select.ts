/**
 * @file Which questions make the laptop set: those that one search with the question itself can answer from a small corpus, and harder ones. The rules
 * are frozen, since numbers are compared: they are their own BM25 (k1 0.9, b 0.4, ASCII words, no stemming) and their own way to find an answer, and not those of `src/`.
 */
import { pythonSpace } from "../../src/python-space.js";
import type { Question, StoredPassage } from "../../src/types.js";

/** A question as its own set has it. */
export interface Asked {
  question: string;
  answers: string[];
}

export interface Selected {
  /** An answer that the question does not hold stands in one of its first three passages, which is about something that the question or the answer names. */
  found: Question[];
  /** The first three passages hold no answer; one of the next seventeen, or one that the question names, does, and is about such a thing. */
  hard: Question[];
}

const k1 = 0.9;
const b = 0.4;
const top = 3;
const further = 20;
/** An answer of fewer characters stands everywhere. */
const leastCharacters = 3;

const stopWords = new Set(
  "a an the of in on at to is are was were who what when where which how did do does and or for by with from as it that this be".split(
    " ",
  ),
);

function words(text: string): string[] {
  return (text.toLowerCase().match(/[a-z0-9]+/g) ?? []).filter((word) => !stopWords.has(word));
}

const article = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;
const punctuation = /[!-/:-@[-`{-~]/g;
const spaces = new RegExp(`${pythonSpace}+`);

/** Words in lower case without articles and ASCII punctuation, a space before and behind each. */
export function plain(text: string): string {
  const cleaned = text.toLowerCase().replace(article, " ").replace(punctuation, " ");
  return ` ${cleaned
    .split(spaces)
    .filter((word) => word !== "")
    .join(" ")} `;
}

/** The passages, with what is looked up in them. */
export class LaptopCorpus {
  readonly #postings = new Map<string, [passage: number, count: number][]>();
  readonly #lengths: number[];
  readonly #meanLength: number;
  readonly #texts: string[];
  /** Titles without what stands in brackets. */
  readonly #names: string[];
  readonly #named = new Map<string, number[]>();
  #longestName = 1;
  readonly #scores: Float64Array;

  constructor(passages: readonly StoredPassage[]) {
    this.#lengths = passages.map((passage, index) => this.#count(passage, index));
    this.#meanLength = this.#lengths.reduce((sum, length) => sum + length, 0) / this.#lengths.length;
    this.#texts = passages.map(({ title, text }) => plain(`${title}. ${text}`));
    this.#names = passages.map(({ title }) => plain(title.replace(/\([^\n]*?\)/g, "")));
    for (const [index, name] of this.#names.entries()) {
      if (words(name).length === 0) continue;
      this.#named.set(name, [...(this.#named.get(name) ?? []), index]);
      this.#longestName = Math.max(this.#longestName, name.trim().split(" ").length);
    }
    this.#scores = new Float64Array(passages.length);
  }

  /** @param source names the set; with a question's place in it, it makes the id */
  select(source: string, asked: readonly Asked[]): Selected {
    const selected: Selected = { found: [], hard: [] };
    for (const [index, { question, answers }] of asked.entries()) {
      const kind = this.#kindOf(question, answers);
      if (kind === undefined) continue;
      selected[kind].push({ id: `${source}-${index}`, question, answers: [...new Set(answers)], source });
    }
    return selected;
  }

  #kindOf(question: string, answers: readonly string[]): keyof Selected | undefined {
    const asked = plain(question);
    const good = answers
      .map(plain)
      .filter((answer) => [...answer].length >= leastCharacters + 2 && !asked.includes(answer));
    if (good.length === 0) return undefined;
    const holdsAnswer = (index: number): boolean => good.some((answer) => this.#texts[index].includes(answer));
    const isAbout = (index: number): boolean => asked.includes(this.#names[index]) || good.includes(this.#names[index]);
    const best = this.#first(question);
    const hits = best.slice(0, top).filter(holdsAnswer);
    if (hits.length > 0) return hits.some(isAbout) ? "found" : undefined;
    const others = [...best.slice(top).filter(isAbout), ...this.#namedIn(asked)];
    return others.some(holdsAnswer) ? "hard" : undefined;
  }

  /** The best passages; of equal ones, those that the earlier words of the question lead to. */
  #first(question: string): number[] {
    const scores = this.#scores;
    const touched: number[] = [];
    for (const word of new Set(words(question))) {
      const postings = this.#postings.get(word) ?? [];
      const idf = Math.log(1 + (scores.length - postings.length + 0.5) / (postings.length + 0.5));
      for (const [index, count] of postings) {
        if (scores[index] === 0) touched.push(index);
        const length = this.#lengths[index] / this.#meanLength;
        scores[index] += (idf * count * (k1 + 1)) / (count + k1 * (1 - b + b * length));
      }
    }
    const best: number[] = [];
    for (const index of touched) {
      const place = best.findIndex((other) => scores[index] > scores[other]);
      if (place >= 0) best.splice(place, 0, index);
      else best.push(index);
      best.length = Math.min(best.length, further);
    }
    for (const index of touched) scores[index] = 0;
    return best;
  }

  /** Passages whose title the question names. */
  *#namedIn(asked: string): Generator<number> {
    const all = asked.trim().split(" ");
    for (let first = 0; first < all.length; first++)
      for (let end = first + 1; end <= Math.min(all.length, first + this.#longestName); end++)
        yield* this.#named.get(` ${all.slice(first, end).join(" ")} `) ?? [];
  }

  #count({ title, text }: StoredPassage, index: number): number {
    const counts = new Map<string, number>();
    const all = words(`${title}. ${text}`);
    for (const word of all) counts.set(word, (counts.get(word) ?? 0) + 1);
    for (const [word, count] of counts) {
      const postings = this.#postings.get(word);
      if (postings === undefined) this.#postings.set(word, [[index, count]]);
      else postings.push([index, count]);
    }
    return all.length;
  }
}
