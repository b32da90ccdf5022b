/**
 * @file Answers as they are compared. SQuAD's rules (`squad.ts`) for English, and what other scripts and numbers need beside them:
 *
 * 1. Case, punctuation of any script, invisible characters, compatibility forms (`Ａ` = `A`), composed or decomposed accents and apostrophes of
 *    any shape make no difference.
 * 2. Scripts without spaces between words (Han, Kana, Thai, …) go by character, each with its combining marks.
 * 3. `a`, `an` and `the` are dropped, but not where nothing else is left (`The The`), and not an `a` at the end, which is a letter (`Vitamin A`).
 *    Likewise punctuation is kept where there is nothing else (`!!!`).
 * 4. What makes another number or name stays: a point or a fraction bar between digits, a minus sign, `+` and `#` at the end of a word (`C++`).
 *    Commas that group digits go (`3,000` = `3000`); between other digits a comma is a decimal point. Dates in digits have one separator.
 */
import { holdsWords, type Comparison } from "./comparison.js";

const ascii = /^[\0-\x7f]*$/;
/** Accent and prime used as apostrophes, modifier letters (ʻokina); compatibility forms of some would bring a space in. */
const apostrophes = /[\u00b4\u02b9\u02bb\u02bc\u02c8\u2018\u2019\u201b\u2032\uff07]/g;
/** `10²` is not `102`, nor `5½` 51⁄2: these keep their form. */
const foldable = /[^\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u207f\u2150-\u215f\u2189]+/g;
const invisible = /[\p{Default_Ignorable_Code_Point}®©™℠]+/gu;
const betweenWords = /[\s\x1c-\x1f\x85]+/;
/** A word in a script that writes none apart: one character and its marks. A mark alone is none: U+0307 is of Tai Le, too, and stands in `İzmir`. */
const scriptsWithoutSpaces = "Han Hira Kana Bopo Thai Laoo Khmr Mymr Tibt Tale Talu Lana Tavt Java Bali"
  .split(" ")
  .map((name) => `\\p{scx=${name}}`);
const alone = new RegExp(`(?!\\p{M})[${scriptsWithoutSpaces.join("")}]\\p{M}*`, "gu");

const date = /(?<![\d.,/-])\d{1,4}([.-])\d{1,2}\1\d{1,4}(?![.,/-]?\d)/g;
const dividedNumber = /\p{Nd}+(?:[.,]\p{Nd}+)+/gu;
const grouped = /^\p{Nd}{1,3}(?:(?:,\p{Nd}{2,3})*,\p{Nd}{3}(?:\.\p{Nd}+)?|(?:\.\p{Nd}{3}){2,})$/u;
/** Marks between words rather than inside one: long dashes, the Ethiopic word space. */
const dividers = /[\u2014\u2015\u1361]/g;
const always = "[!\"$%&'()*,:;<=>?@[\\\\\\]^_`{|}~]|(?![\\0-\\x7f])\\p{P}";
const unlessBetweenDigits = "(?<!\\p{Nd})[./]|[./](?!\\p{Nd})";
const unlessSign = "(?<=[^\\s(])-|-(?!\\p{Nd})";
const unlessEnding = "(?<![\\p{L}\\p{M}][+#]*)[+#]|[+#](?=[+#]*[\\p{L}\\p{N}])";
const punctuation = new RegExp([always, unlessBetweenDigits, unlessSign, unlessEnding].join("|"), "gu");

/** An answer as it is compared: `The Peruvian Sol.` → `peruvian sol`, `北京。` → `北 京`. Empty only where the text is blank. */
export function normaliseAnswer(text: string): string {
  return spaced(withoutArticles(allWords(text)));
}

/** The words of an answer as it is compared. */
export function answerWords(text: string): string[] {
  return divide(normaliseAnswer(text));
}

/** A text's words in lower case, as divided for answers: by white space, and by character where a script has none. Punctuation stays. */
export function plainWords(text: string): string[] {
  return divide(spaced(divide(text.toLowerCase())));
}

/** Our comparison of answers. */
export const answerComparison: Comparison = {
  normalise: normaliseAnswer,
  lookIn(text) {
    const words = allWords(text);
    const normalised = spaced(withoutArticles(words));
    let whole: string | undefined;
    // In "Vitamin A is …" the letter looks like an article, and so does a name that consists of them.
    return (answer) =>
      holdsWords(normalised, answer) || (/ (a|an|the)$/.test(answer) && holdsWords((whole ??= spaced(words)), answer));
  },
};

function allWords(text: string): string[] {
  const folded = (ascii.test(text) ? text : fold(text)).toLowerCase();
  const words = divide(plainNumbers(folded).replace(punctuation, ""));
  return words.length === 0 ? divide(folded) : words;
}

function fold(text: string): string {
  return text
    .normalize("NFC")
    .replace(apostrophes, "'")
    .replace(invisible, "")
    .replace(foldable, (part) => part.normalize("NFKC"))
    .replace(/\u2212/g, "-")
    .replace(/\u066b/g, ".")
    .replace(/\u066c/g, ",")
    .replace(dividers, " ");
}

function plainNumbers(text: string): string {
  if (!/\p{Nd}[.,-]\p{Nd}/u.test(text)) return text;
  return text
    .replace(date, (written) => written.replace(/[.-]/g, "/"))
    .replace(dividedNumber, (written) => (grouped.test(written) ? ungrouped(written) : written.replaceAll(",", ".")));
}

function ungrouped(number: string): string {
  return number.replaceAll(number.includes(",") ? "," : ".", "");
}

function withoutArticles(words: readonly string[]): readonly string[] {
  const last = words.length - 1;
  const kept = words.filter((word, index) => !isArticle(word) || (word === "a" && index === last));
  return kept.length === 0 ? words : kept;
}

function isArticle(word: string): boolean {
  return word === "a" || word === "an" || word === "the";
}

function divide(text: string): string[] {
  return text.split(betweenWords).filter((word) => word !== "");
}

/** The words with one space between; characters that are words stand apart. */
function spaced(words: readonly string[]): string {
  const text = words.join(" ");
  return ascii.test(text) ? text : divide(text.replace(alone, " $& ")).join(" ");
}
