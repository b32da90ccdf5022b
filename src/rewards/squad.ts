/**
 * @file Answers compared as SQuAD does (Rajpurkar et al., arXiv:1606.05250, `evaluate-v1.1.py`), and as the released code of Search-R1 does: lower
 * case, ASCII punctuation deleted, English articles dropped, white space collapsed. For numbers that stand beside published ones; `normalise.ts` is
 * the measure of everything else. What SQuAD equates and should not is named in `docs/rewards.md`.
 *
 * 1. The articles' word borders know Unicode, as Python's do: JavaScript's `\b` is ASCII-only and turns `día` into `dí`.
 * 2. White space is Python's: with the separators U+001C–U+001F and U+0085, without the byte-order mark.
 */
import { pythonSpace } from "../python-space.js";
import { holdsWords, type Comparison } from "./comparison.js";

const asciiPunctuation = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~]/g;
const article = /(?<![\p{L}\p{N}_])(a|an|the)(?![\p{L}\p{N}_])/gu;
const betweenWords = new RegExp(`${pythonSpace}+`);
const around = new RegExp(`^${pythonSpace}+|${pythonSpace}+$`, "g");

/** What `normalize_answer` returns: `The Peruvian Sol.` → `peruvian sol`. May be empty. */
export function normaliseLikeSquad(text: string): string {
  const words = text.toLowerCase().replace(asciiPunctuation, "").replace(article, " ").split(betweenWords);
  return words.filter((word) => word !== "").join(" ");
}

/** SQuAD's comparison of answers. */
export const squadComparison: Comparison = {
  normalise: normaliseLikeSquad,
  lookIn(text) {
    const normalised = normaliseLikeSquad(text);
    return (answer) => holdsWords(normalised, answer);
  },
};

/** Python's `strip`. */
export function strip(text: string): string {
  return text.replace(around, "");
}
