/**
 * @file Answers compared as SQuAD does (Rajpurkar et al., arXiv:1606.05250, `evaluate-v1.1.py`): lower case, ASCII
 * punctuation deleted, English articles dropped, white space collapsed.
 *
 * 1. The articles' word borders know Unicode, as Python's do: JavaScript's `\b` is ASCII-only and turns `día` into `dí`.
 * 2. Departure: composed and decomposed accents are the same (NFC); the original counts them as different answers.
 */

const ASCII_PUNCTUATION = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;
const ARTICLE = /(?<![\p{L}\p{N}_])(a|an|the)(?![\p{L}\p{N}_])/gu;

/** An answer as it is compared: `The Peruvian Sol.` → `peruvian sol`. May be empty. */
export function normaliseAnswer(text: string): string {
  return text
    .normalize("NFC")
    .toLowerCase()
    .replace(ASCII_PUNCTUATION, "")
    .replace(ARTICLE, " ")
    .split(/\s+/u)
    .filter((word) => word !== "")
    .join(" ");
}
