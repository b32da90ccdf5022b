/** @file What a scripted searcher thinks and asks for: short sentences in several wordings, each about the words at hand, so that a small model can imitate them. */
import type { Random } from "../../random.js";
import { luceneStopWords } from "../../search/text/analyzer.js";
import { plainLine } from "../shapes.js";
import { blankOf } from "./cloze.js";
import type { Reading } from "./reading.js";

/** Most words of a query, of the topic that a thought names, and on either side of the answer in a quotation; characters of a word on average, and of a quotation. */
const most = { characters: 9, query: 12, rare: 5, topic: 4, beside: 6, quotation: 140 };

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

/** A query: the words of the question, or `rare` only those that are likely to stand in few passages. The question itself where it has no others. */
export function queryOf(question: string, kind: "words" | "rare"): string {
  const words = rarest(searchWords(question), kind === "words" ? most.query : most.rare);
  return words.length === 0 ? plainLine(question) : words.join(" ");
}

const topicOf = (question: string): string => {
  const words = rarest(searchWords(question), most.topic);
  return words.length === 0 ? "this" : words.join(" ");
};

/** Before the first search: what to look for. */
export function openingThought(random: Random, question: string): string {
  const topic = topicOf(question);
  const wanted = blankOf(question) === null ? "the passage" : "the sentence";
  return random.choice([
    `I need ${wanted} about ${topic}.`,
    `I look for ${wanted} that says ${topic}.`,
    `I should find ${wanted} with ${topic}.`,
    `First I search for ${topic}.`,
  ]);
}

/** Before another search: what was found does not say it. */
export function furtherThought(random: Random, question: string): string {
  const topic = topicOf(question);
  return random.choice([
    `These do not say it. I search again for ${topic}.`,
    `The answer is not here. I try ${topic}.`,
    `Nothing fits yet. Next I look for ${topic}.`,
  ]);
}

/** Before the answer: which words of which passage say it. */
export function closingThought(random: Random, { answer, sentence, document }: Reading): string {
  const quotation = quote(sentence, answer);
  return random.choice([
    `Doc ${document} says: ${quotation}.`,
    `It says: ${quotation}.`,
    `The sentence is ${quotation}.`,
    `I read in Doc ${document}: ${quotation}.`,
  ]);
}

/** The answer with the words beside it, in quotation marks. */
function quote(sentence: string, answer: string): string {
  const at = Math.max(0, sentence.indexOf(answer));
  const before = sentence.slice(0, at).trimEnd().split(" ").slice(-most.beside).join(" ");
  const after = sentence
    .slice(at + answer.length)
    .split(" ")
    .slice(0, most.beside + 1)
    .join(" ");
  const words = `${before}${/\s$/.test(sentence.slice(0, at)) ? " " : ""}${answer}${after}`.replaceAll('"', "'").trim();
  return `"${words.length > most.quotation ? answer : words.replace(/[.,;:]+$/, "")}"`;
}
