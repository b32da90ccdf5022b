/**
 * @file Answers compared as SQuAD does (Rajpurkar et al., arXiv:1606.05250, `evaluate-v1.1.py`): lower case, ASCII
 * punctuation deleted, English articles dropped, white space collapsed.
 *
 * 1. The articles' word borders know Unicode, as Python's do: JavaScript's `\b` is ASCII-only and turns `día` into `dí`.
 * 2. White space is Python's: with the separators U+001C–U+001F and U+0085, without the byte-order mark.
 * 3. Departure: composed and decomposed accents are the same (NFC); the original counts them as different answers.
 */

const asciiPunctuation = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;
const article = /(?<![\p{L}\p{N}_])(a|an|the)(?![\p{L}\p{N}_])/gu;
/** What Python's `str.split` and `str.strip` take for white space. */
const whiteSpace = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const betweenWords = new RegExp(whiteSpace);
const around = new RegExp(`^${whiteSpace}|${whiteSpace}$`, "g");

/** An answer as it is compared: `The Peruvian Sol.` → `peruvian sol`. May be empty. */
export function normaliseAnswer(text: string): string {
  return normaliseLikeOriginal(text.normalize("NFC"));
}

/** The same without departure 3: what `normalize_answer` of the released code returns. */
export function normaliseLikeOriginal(text: string): string {
  return words(text.toLowerCase().replace(asciiPunctuation, "").replace(article, " ")).join(" ");
}

/** The words of an answer as it is compared. */
export function answerWords(text: string): string[] {
  return words(normaliseAnswer(text));
}

/** Python's `strip`. */
export function strip(text: string): string {
  return text.replace(around, "");
}

/** Whether the words of `needle` stand in `haystack` one after another, both normalised; nothing stands in nothing only. */
export function holdsWords(haystack: string, needle: string): boolean {
  return needle === "" ? haystack === "" : ` ${haystack} `.includes(` ${needle} `);
}

function words(text: string): string[] {
  return text.split(betweenWords).filter((word) => word !== "");
}
