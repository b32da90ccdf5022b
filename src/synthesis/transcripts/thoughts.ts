/**
 * @file What a scripted searcher thinks and asks for, so that a model of 135M parameters can imitate it: that copies well and chooses badly. Thoughts are short
 * sentences in one wording (attempts at a question that begin alike are computed together), a query is a stretch of the question as it stands, and what was read is quoted up to the answer.
 */
import { luceneStopWords } from "../../search/text/analyzer.js";
import { plainLine } from "../shapes.js";
import { blankOf, descriptionOf } from "./cloze.js";
import type { Reading } from "./reading.js";

/** Most words of a query, and on either side of the answer in a quotation; characters of a word on average, and of a query and a quotation. */
const most = { query: 16, rare: 5, beside: 6, characters: 9, quotation: 140 };

const askingWords = new Set(
  "what which who whom whose when where why how do does did can could must should would i my me we our you your so that's has have had been being am about out one word words term called name named mean means stand stands missing fill blank gap sentence complete following described like default added version".split(
    " ",
  ),
);
const stopWords = new Set([...luceneStopWords, ...askingWords]);

/** The words of a question that can find something, in its order; of a gap, the words beside it. */
export function searchWords(question: string): string[] {
  const blank = blankOf(question);
  const text = blank === null ? question : `${blank.before} ${blank.after}`;
  const words = (text.match(/\S+/g) ?? [])
    .map(bare)
    .filter((word) => word !== "" && !stopWords.has(word.toLowerCase()));
  return [...new Map(words.map((word) => [word.toLowerCase(), word])).values()];
}

/** A word without what stands around it in running text; a closing bracket stays where it was opened. */
function bare(word: string): string {
  const inner = word
    .replace(/[`"“”*]/g, "")
    .replace(/^[^\p{L}\p{N}_$.-]+|[^\p{L}\p{N}_)]+$/gu, "")
    .replace(/^[.-]+(?![.\-\p{L}])/u, "");
  return inner.includes("(") ? inner : inner.replace(/[^\p{L}\p{N}_]+$/u, "");
}

/** The words from which a question's passage can be told, best first: names of code, numbers and names, then long words. */
function byRarity(words: readonly string[]): string[] {
  const score = (word: string): number =>
    (/[_()$.]|\p{Ll}\p{Lu}/u.test(word) ? 20 : 0) +
    (/\p{N}/u.test(word) ? 8 : 0) +
    (/^\p{Lu}/u.test(word) ? 6 : 0) +
    word.length;
  return [...words].sort((a, b) => score(b) - score(a));
}

/** So many of the words, the rarest, in the order in which they stand: fewer where they are long. */
function rarest(words: readonly string[], count: number): string[] {
  const kept = new Set<string>();
  let left = count * most.characters;
  for (const word of byRarity(words).slice(0, count)) {
    left -= word.length;
    if (left >= 0 || kept.size === 0) kept.add(word);
  }
  return words.filter((word) => kept.has(word));
}

/** A query: a stretch of the question, or `rare` only the words of it that are likely to stand in few passages. */
export function queryOf(question: string, kind: "words" | "rare"): string {
  const words = kind === "words" ? [] : rarest(searchWords(question), most.rare);
  return words.length === 0 ? stretchOf(question) : words.join(" ");
}

/** What the question says about its answer, word for word: what stands around the gap, the description and what it belongs to, or all but how it asks. */
function stretchOf(question: string): string {
  const blank = blankOf(question);
  if (blank !== null) {
    const [before, after] = [wordsIn(blank.before), wordsIn(blank.after)];
    return shortened([...before.slice(-Math.max(most.query / 2, most.query - after.length)), ...after]);
  }
  const description = descriptionOf(question);
  const [, whole = ""] = /\b(?:of|in) (.{1,40}?) (?:is|are) described/.exec(question) ?? [];
  if (description !== null) return shortened([...wordsIn(whole), ...wordsIn(description)]);
  const asked = question.replace(
    /^\s*(?:in |since |by )?(?:which|what|who|when|where|how)\b(?: (?:is|are|was|were|does|do|did)\b)?/i,
    "",
  );
  return shortened(wordsIn(asked)) || plainLine(question);
}

const wordsIn = (text: string): string[] => text.match(/\S+/g) ?? [];

/** As many of the words as a query takes, without marks at its ends. */
function shortened(words: readonly string[]): string {
  let left = most.query * most.characters;
  const kept = words.slice(0, most.query).filter((word, place) => (left -= word.length) >= 0 || place === 0);
  return kept.join(" ").replace(/^[\s"'“”,;:?]+|[\s"'“”,;:.?…]+$/g, "");
}

/** Before the first search: what to look for. */
export function openingThought(question: string): string {
  if (blankOf(question) !== null) return "I look for this sentence.";
  if (descriptionOf(question) !== null) return "I look for this description.";
  return "I look it up.";
}

/** Before another search: what was found does not say it. */
export const furtherThought = "It is not here. I try other words.";

/**
 * Before the answer: which words say it; of a term that stands above its description, the description. In one form for all questions: of two forms reinforcement
 * takes to the one that ends well more often, and uses it where it does not fit.
 */
export function closingThought({ answer, sentence }: Reading): string {
  const described = sentence.startsWith(`${answer}: `) ? wordsIn(sentence.slice(answer.length + 2)) : [];
  const quotation =
    described.length > 0 ? `"${shortQuote(described.slice(0, most.beside).join(" "))}"` : quote(sentence, answer);
  return `${quotation} gives ${answer}.`;
}

const shortQuote = (words: string): string => words.replaceAll('"', "'").replace(/[.,;:]+$/, "");

/** The answer with the words beside it, in quotation marks. */
function quote(sentence: string, answer: string): string {
  const at = Math.max(0, sentence.indexOf(answer));
  const before = sentence.slice(0, at).trimEnd().split(" ").slice(-most.beside).join(" ");
  const after = sentence
    .slice(at + answer.length)
    .split(" ")
    .slice(0, most.beside + 1)
    .join(" ");
  const words = `${before}${/\s$/.test(sentence.slice(0, at)) ? " " : ""}${answer}${after}`.trim();
  return `"${words.length > most.quotation ? answer : shortQuote(words)}"`;
}
