/** @file What makes a good short answer: a few words that name one thing, and that nobody guesses. */
import { normaliseAnswer } from "../../../rewards/normalise.js";
import type { WordRarity } from "../word-rarity.js";

/** Most words of an answer, and most characters. */
const most = { words: 4, characters: 40 };

/** Words that name nothing by themselves, or that one guesses. */
const empty = new Set(
  (
    "it this that these those they them he she we you i one ones which what who whose there here such other others same following above below next " +
    "previous first second third last former latter each every all any some none no yes true false null nil undefined default defaults value values " +
    "name names option options argument arguments parameter parameters result results number numbers string strings integer boolean object list " +
    "function method note example section chapter file files text thing things way case use user the a an of and or not is are was be in on to for " +
    "nothing anything everything something without within because before during another various optional required enabled disabled on off auto empty unset unlimited only also more most new old see"
  ).split(" "),
);

/** Whether a text can be the answer to a question: short, and with a word that is neither empty nor usual. */
export function isSpecific(answer: string, rarity: WordRarity): boolean {
  const words = normaliseAnswer(answer).split(" ");
  if (answer.length > most.characters || words.length > most.words || /^[^\p{L}\p{N}]*$/u.test(answer)) return false;
  if (/[,;:!?({[=/\\]$|^[,;:)}\]]|["“”]|\s[-–|=]\s|&&/.test(answer)) return false;
  const telling = words.filter((word) => !empty.has(word));
  if (telling.length === 0 || !telling.some((word) => /\p{L}{2}|\d{2}|\d[.,]\d/u.test(word))) return false;
  return looksLikeName(answer) || rarity.isRare(telling.join(" "), 0.004);
}

/** Signs that set a name or a number apart from usual words. */
export function looksLikeName(text: string): boolean {
  return /\d{2}|\d\.\d|[_\w]\.[a-z]|_|^-|[a-z][A-Z]|[A-Z]{2}|\(\)$/.test(text);
}
