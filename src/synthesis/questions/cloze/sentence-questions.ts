/** @file Questions from sentences: what is a …, what an abbreviation stands for, and which word is missing. */
import { normaliseAnswer } from "../../../rewards/normalise.js";
import type { WordRarity } from "../word-rarity.js";
import { looksLikeName } from "./answers.js";
import { shortened, type Cloze } from "./entry-questions.js";

/** Words that begin a sentence which leans on the one before it, and subjects that are no terms. */
const leaning =
  /^(?:This|That|These|Those|It|Its|They|Their|There|Here|He|She|We|You|I|One|Another|Such|However|Thus|Therefore|Then|So|Also|But|And|Or|If|When|While|What|Which|Note|See|For|In|On|At|By|To|As|With|Since|After|Before|Otherwise|Instead|Both|Each|Every|All|Some|Most|Many|No|None|Not|Currently|Now|Finally|First|Second|Next|Similarly|Additionally|Furthermore|Moreover|Contributed|Changed|Added|Fixed|Patch|New|Deprecated|Removed|Part of the|Chapter|Specifies|Works|Notice|Besides|Once|Because|Although|Until|Unless|Even|Just|Only|Like|Unlike)\b/;
const noSubject =
  /\b(?:default|result|value|values|name|argument|idea|difference|following|reason|purpose|problem|effect|goal|output|format|return|same|example|section|chapter|only|first|second|last|other|above|below|latter|former|case|way|use|option|parameter|type|it|this|that|there|answer|question|point|rest|fact|first|next|current|new|specified|given|method|function|command)\b/i;

export function* sentenceQuestions(sentence: string, rarity: WordRarity): Generator<Cloze> {
  const abbreviation = abbreviationIn(sentence);
  if (abbreviation !== undefined) yield abbreviation;
  if (leaning.test(sentence)) return;
  const definition = definitionIn(sentence, rarity);
  if (definition !== undefined) yield definition;
  else {
    const gap = sentence.split(" ").length < leastGapWords ? undefined : gapIn(sentence, rarity);
    if (gap !== undefined) yield gap;
  }
}

/** A shorter sentence with a gap may be about anything. */
const leastGapWords = 10;

/** "A lambda is an anonymous function that …" → What is an anonymous function that …? */
function definitionIn(sentence: string, rarity: WordRarity): Cloze | undefined {
  const match = /^(?:(?:An?|The) )?([^,;:()]{2,40}?) (is|are) ((?:an?|the) [^;:]+)\.$/.exec(sentence);
  if (match === null) return undefined;
  const [, term, verb, rest] = match;
  const words = term.split(" ");
  if (words.length > 4 || noSubject.test(term) || /\b(?:is|are|was|of|to|in|for|that|which|and|or)\b/.test(term))
    return undefined;
  if (!looksLikeName(term) && !rarity.isRare(term, 0.005)) return undefined;
  const restWords = rest.split(" ");
  if (restWords.length < 6 || sharesWord(term, rest)) return undefined;
  return { kind: "definition", question: `What ${verb} ${shortened(rest)}?`, answers: [term], quote: sentence };
}

function sharesWord(term: string, text: string): boolean {
  const words = new Set(normaliseAnswer(text).split(" "));
  return normaliseAnswer(term)
    .split(" ")
    .some((word) => words.has(word));
}

/** "Write-Ahead Logging (WAL)" → What does WAL stand for? */
function abbreviationIn(sentence: string): Cloze | undefined {
  for (const { 1: short, index } of sentence.matchAll(/ \(([A-Z]{2,6})\)/g)) {
    const before = sentence.slice(0, index).split(/[\s-]+/);
    const words = before.slice(-short.length);
    if (words.map((word) => word[0]?.toUpperCase()).join("") !== short) continue;
    const start = sentence.slice(0, index).lastIndexOf(words[0]);
    const long = sentence.slice(start, index);
    if (long.split(" ").length > 5 || long.includes(",")) continue;
    return {
      kind: "abbreviation",
      question: `What does ${short} stand for?`,
      answers: [long],
      quote: `${long} (${short})`,
    };
  }
  return undefined;
}

interface Gap {
  start: number;
  text: string;
  /** Higher is better. */
  worth: number;
  noun: "word" | "number" | "name";
}

/** The sentence with its most telling word left out. */
function gapIn(sentence: string, rarity: WordRarity): Cloze | undefined {
  const best = gapsIn(sentence, rarity).reduce<Gap | undefined>(
    (a, b) => (a === undefined || b.worth > a.worth ? b : a),
    undefined,
  );
  if (best === undefined) return undefined;
  const before = sentence.slice(0, best.start).replaceAll('"', "'").split(" ");
  const after = sentence
    .slice(best.start + best.text.length)
    .replace(/\.$/, "")
    .replaceAll('"', "'")
    .split(" ");
  const shown = `${before.slice(-14).join(" ")}____${after.slice(0, 14).join(" ")}`.trim();
  return {
    kind: best.noun === "number" ? "number" : best.worth < 1.5 ? "word" : "gap",
    question: `Which ${best.noun} is missing: "${shown}"?`,
    answers: [best.text],
    quote: sentence,
  };
}

function gapsIn(sentence: string, rarity: WordRarity): Gap[] {
  const gaps: Gap[] = [];
  for (const { 0: text, index: start } of sentence.matchAll(/[\p{L}\p{N}_]+(?:[.'’+/-][\p{L}\p{N}_]+)*(?:\(\))?/gu)) {
    if (start === 0 || isRepeated(sentence, text) || /^(?:i\.e|e\.g)/i.test(text)) continue;
    // A part of something longer: `$NAME`, `--name`, `name=value`.
    if (/[^\s"'“‘(]$/.test(sentence.slice(0, start)) || /^[^\s"'”’).,;:]/.test(sentence.slice(start + text.length)))
      continue;
    const around = sentence.slice(Math.max(0, start - 9), start);
    if (/(?:Section|Chapter|Table|Figure|PEP|RFC|issue|bpo-|Part|Appendix|#|\() ?$/i.test(around)) continue;
    const gap = gapOf(text, rarity);
    if (gap !== undefined) gaps.push({ start, text, ...gap });
  }
  return gaps;
}

function gapOf(text: string, rarity: WordRarity): Pick<Gap, "worth" | "noun"> | undefined {
  const closeness = 1 - Math.min(1, rarity.share(text) * 200);
  if (/^\d[\d.,]*\d$/.test(text)) return { worth: 2 + closeness, noun: "number" };
  if (looksLikeName(text)) return { worth: 2 + closeness, noun: /^\p{Lu}\p{Ll}/u.test(text) ? "name" : "word" };
  if (/^\p{Lu}\p{Ll}{3,}$/u.test(text) && rarity.isRare(text, 0.0025)) return { worth: 1.5 + closeness, noun: "name" };
  if (/^\p{Ll}{6,}$/u.test(text) && rarity.isRare(text, 0.0008)) return { worth: closeness, noun: "word" };
  return undefined;
}

function isRepeated(sentence: string, word: string): boolean {
  return sentence.toLowerCase().split(word.toLowerCase()).length > 2;
}
