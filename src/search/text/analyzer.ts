/**
 * @file From a text to the terms that are indexed, as Lucene's EnglishAnalyzer (and so Anserini and Pyserini) makes them:
 * words, possessive 's removed, lower case, stop words dropped, Porter's stems. Every part can be switched.
 */
import { UserError } from "../../errors.js";
import { porterStem } from "./porter.js";
import { forEachToken } from "./tokenizer.js";

/** Lucene's 33 English stop words (EnglishAnalyzer.ENGLISH_STOP_WORDS_SET). */
export const luceneStopWords: readonly string[] =
  "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with".split(
    " ",
  );

export interface AnalyzerSettings {
  lowercase: boolean;
  /** Cuts 's off the end of a word. */
  removePossessives: boolean;
  /** Compared after lower-casing and before stemming; an empty list keeps every word. */
  stopWords: readonly string[];
  stemmer: "porter" | "none";
}

/** What Anserini's and Pyserini's indexes use. */
const englishAnalyzer: AnalyzerSettings = {
  lowercase: true,
  removePossessives: true,
  stopWords: luceneStopWords,
  stemmer: "porter",
};

/** A term and where its word stands in the text (UTF-16 units, `end` exclusive). */
interface AnalyzedToken {
  term: string;
  start: number;
  end: number;
}

/** Turns texts into terms. Holds no state but its settings. */
export class Analyzer {
  readonly settings: AnalyzerSettings;
  readonly #stopWords: ReadonlySet<string>;

  /** @throws UserError for settings that are not of the type above (they may come from a file). */
  constructor(settings: Partial<AnalyzerSettings> = {}) {
    this.settings = { ...englishAnalyzer, ...settings };
    checkSettings(this.settings);
    this.#stopWords = new Set(this.settings.stopWords);
  }

  /** The terms of a text in order, repetitions included. */
  terms(text: string): string[] {
    const terms: string[] = [];
    this.forEachWord(text, (word) => {
      const term = this.termOf(word);
      if (term !== null) terms.push(term);
    });
    return terms;
  }

  /** The terms with the place of their words. */
  tokens(text: string): AnalyzedToken[] {
    const tokens: AnalyzedToken[] = [];
    this.forEachWord(text, (word, start, end) => {
      const term = this.termOf(word);
      if (term !== null) tokens.push({ term, start, end });
    });
    return tokens;
  }

  /** Visits the words as they stand before {@link termOf}: the expensive rest can then be remembered by word. */
  forEachWord(text: string, visit: (word: string, start: number, end: number) => void): void {
    const source = this.settings.lowercase ? lowerCase(text) : text;
    forEachToken(source, (start, end) => visit(source.slice(start, end), start, end));
  }

  /** The same without making the words: `source` is the text they are cut from. */
  forEachWordAt(text: string, visit: (source: string, start: number, end: number) => void): void {
    const source = this.settings.lowercase ? lowerCase(text) : text;
    forEachToken(source, (start, end) => visit(source, start, end));
  }

  /** The term of one word, or null when the word is not indexed. */
  termOf(word: string): string | null {
    const bare = this.settings.removePossessives ? withoutPossessive(word) : word;
    if (bare === "" || this.#stopWords.has(bare)) return null;
    return this.settings.stemmer === "porter" ? porterStem(bare) : bare;
  }
}

/**
 * Lower case by single characters, as Java's Character.toLowerCase does, so that offsets stay: JavaScript alone would turn
 * İ into two characters and Σ into two different ones.
 */
function lowerCase(text: string): string {
  return text.replaceAll("\u0130", "i").replaceAll("\u03a3", "\u03c3").toLowerCase();
}

function withoutPossessive(word: string): string {
  return /['\u2019\uff07][sS]$/.test(word) ? word.slice(0, -2) : word;
}

function checkSettings(settings: AnalyzerSettings): void {
  const complain = (field: string, expected: string): never => {
    throw new UserError(`Analyzer setting "${field}" must be ${expected}.`);
  };
  if (typeof settings.lowercase !== "boolean") complain("lowercase", "true or false");
  if (typeof settings.removePossessives !== "boolean") complain("removePossessives", "true or false");
  if (settings.stemmer !== "porter" && settings.stemmer !== "none") complain("stemmer", '"porter" or "none"');
  if (!Array.isArray(settings.stopWords) || settings.stopWords.some((word) => typeof word !== "string"))
    complain("stopWords", "a list of words (an empty list keeps every word)");
}
