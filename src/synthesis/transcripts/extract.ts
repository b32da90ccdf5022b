/**
 * @file Reading without a model: which sentence of some passages fits a question best, and which span of it the question asks for. Only question and
 * passages are looked at, never a right answer. It is made for cloze and definition questions over documentation, in which most answers are a term, a
 * number or the words of a gap.
 */
import { Analyzer } from "../../search/text/analyzer.js";
import { plainLine } from "../shapes.js";
import { blankOf, descriptionOf, readQuoted } from "./cloze.js";
import { readFact } from "./facts.js";
import { trimmed, type Reading, type ReadPassage } from "./reading.js";

interface Sentence {
  text: string;
  document: number;
  /** The short line above it, as terms stand above their definitions. */
  head: string;
}

const analyzer = new Analyzer();
const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/**
 * The best reading: of the words that the question quotes, of the fact that it asks for, else of the sentence that has most of its words. Null where nothing
 * of a fitting kind stands in the passages.
 */
export function readAnswer(question: string, passages: readonly ReadPassage[]): Reading | null {
  const exact = readQuoted(question, passages) ?? readFact(question, passages);
  if (exact !== null) return exact;
  const blank = blankOf(question);
  const wanted = blank === null ? (descriptionOf(question) ?? question) : `${blank.before} ${blank.after}`;
  const sentences = passages.flatMap(({ title, text }, index) => sentencesOf(title, text, index + 1));
  for (const { sentence, fit } of rankSentences(wanted, sentences).slice(0, 3)) {
    const answer = spanOf(question, sentence);
    // Nothing was quoted that was found, or nothing was quoted: the answer is less sure.
    if (answer !== null)
      return { answer, sentence: withHead(sentence, answer), document: sentence.document, fit: fit / 2 };
  }
  return null;
}

/**
 * The reading of somebody to whom the right answers are known: of the sentences that hold one, the one that has most of the question's words, and in it
 * the longest of the answers, as it is written there. Null where no passage holds one.
 */
export function readKnown(
  question: string,
  passages: readonly ReadPassage[],
  answers: readonly string[],
): Reading | null {
  const sentences = passages.flatMap(({ title, text }, index) => sentencesOf(title, text, index + 1));
  const ranked = rankSentences(question, sentences).map(({ sentence }) => sentence);
  for (const sentence of new Set([...ranked, ...sentences])) {
    const line = plainLine(sentence.text);
    const answer = longestIn(line, answers);
    if (answer !== null) return { answer, sentence: line, document: sentence.document, fit: 1 };
  }
  for (const [at, { title, text }] of passages.entries()) {
    const answer = longestIn(title, answers);
    if (answer !== null) return { answer, sentence: `${answer}: ${plainLine(text)}`, document: at + 1, fit: 1 };
  }
  return null;
}

/** The longest of some answers that stand in a line, as it is written there: whatever the case, and with any marks between its words. */
function longestIn(line: string, answers: readonly string[]): string | null {
  const found = answers.flatMap((answer) => {
    const words = answer.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
    if (words.length === 0) return [];
    const pattern = new RegExp(
      String.raw`(?<![\p{L}\p{N}])${words.join(String.raw`[^\p{L}\p{N}]{1,3}`)}(?![\p{L}\p{N}])`,
      "iu",
    );
    return pattern.exec(line)?.[0] ?? [];
  });
  return found.reduce<string | null>((best, one) => (one.length > (best?.length ?? 0) ? one : best), null);
}

/** The sentence in one line; with the line above it where the answer is that one. */
function withHead({ text, head }: Sentence, answer: string): string {
  const line = plainLine(text);
  return line.includes(answer) || head === "" ? line : `${plainLine(head)}: ${line}`;
}

/** Sentences and lines, each with the short line above it. */
function sentencesOf(title: string, text: string, document: number): Sentence[] {
  const sentences: Sentence[] = [];
  let head = lastHeading(title);
  for (const paragraph of text.split(/\n\s*\n|\n(?=\s*(?:[-*•]|\d+\.)\s)/)) {
    const line = paragraph.trim();
    if (line === "") continue;
    for (const { segment } of segmenter.segment(line))
      if (segment.trim() !== "") sentences.push({ text: segment.trim(), document, head });
    const [first] = line.split("\n");
    if (isHead(first)) head = first.trim();
    const [, ...rest] = line.split("\n");
    // A term and its definition without an empty line between them.
    if (rest.length > 0 && isHead(first))
      sentences.push({ text: plainLine(rest.join("\n")), document, head: first.trim() });
  }
  return sentences;
}

const isHead = (line: string): boolean =>
  line.trim().length <= 60 && !/[.!?,;]$/.test(line.trim()) && /\p{L}/u.test(line);

function lastHeading(title: string): string {
  return (title.split(" › ").at(-1) ?? "").replaceAll("¶", "").trim();
}

interface Ranked {
  sentence: Sentence;
  fit: number;
}

/** Sentences by the share of the question's words that they have; those with none are left out. */
function rankSentences(question: string, sentences: readonly Sentence[]): Ranked[] {
  const wanted = [...new Set(analyzer.terms(question).filter((term) => !questionWords.has(term)))];
  const terms = sentences.map(({ text, head }) => ({
    own: new Set(analyzer.terms(text)),
    head: new Set(analyzer.terms(head)),
  }));
  const weights = wanted.map((term) => {
    const holding = terms.filter(({ own }) => own.has(term)).length;
    return Math.log(1 + sentences.length / (holding + 0.5));
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const fitOf = ({ own, head }: (typeof terms)[number]): number =>
    wanted.reduce((sum, term, at) => sum + (own.has(term) ? weights[at] : head.has(term) ? weights[at] / 2 : 0), 0) /
    total;
  return sentences
    .map((sentence, at) => ({ sentence, fit: total === 0 ? 0 : fitOf(terms[at]), length: terms[at].own.size }))
    .filter(({ fit }) => fit > 0)
    .sort((a, b) => b.fit - a.fit || a.length - b.length);
}

/** Stems of the words by which questions ask. */
const questionWords = new Set(
  analyzer.terms(
    "what which who whom whose when where why how does do did can could must should would word words term called name named mean means stand missing fill blank gap sentence complete",
  ),
);

/** The span that the question asks for. */
function spanOf(question: string, { text, head }: Sentence): string | null {
  const line = plainLine(text);
  for (const [asks, find] of kinds) {
    if (!asks.test(question)) continue;
    const found = find(line, { question, head });
    if (found !== null && !isIn(question, found)) return found;
  }
  return null;
}

/** Whether the question says it already: then it is no answer. */
function isIn(question: string, answer: string): boolean {
  const [asked, given] = [question, answer].map((text) => ` ${analyzer.terms(text).join(" ")} `);
  return given.trim() === "" || asked.includes(given);
}

type Find = (sentence: string, asked: { question: string; head: string }) => string | null;

const numberWords = "zero|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|hundred|thousand|million";
const month = "January|February|March|April|May|June|July|August|September|October|November|December";
const code =
  /(?<![\w-])(?:--?[A-Za-z][\w-]*(?:=\S+)?|[A-Za-z_][\w.]*\(\)|[A-Za-z]+(?:[_.][A-Za-z0-9]+)+|[A-Z][A-Z0-9_]{2,}|[a-z]+[A-Z]\w*|\.[a-z]\w+)/g;

/** Kinds of questions in the order in which they are tried, each with what finds its span in a sentence. */
const kinds: readonly (readonly [RegExp, Find])[] = [
  [
    /\bwhen\b|what (?:day|date|year)|which (?:day|date|year)|since when/i,
    (sentence) =>
      matchOf(
        sentence,
        new RegExp(
          `(?:${month}) \\d{1,2}, \\d{4}|\\d{1,2} (?:${month}) \\d{4}|\\d{4}-\\d{2}-\\d{2}|(?:${month}) \\d{4}|\\b(?:1[89]|20)\\d{2}\\b`,
        ),
      ),
  ],
  [
    /how long|how soon|time ?out/i,
    (sentence) =>
      matchOf(
        sentence,
        new RegExp(
          `\\b(?:\\d[\\d,.]*|${numberWords}) (?:milliseconds?|seconds?|minutes?|hours?|days?|weeks?|months?|years?)\\b`,
          "i",
        ),
      ),
  ],
  [
    /how (?:many|much|large|big|wide|often|old|far)|which (?:number|port|version)|what (?:number|port|version)/i,
    (sentence, { question }) => numberIn(sentence, question),
  ],
  [
    /^who|by whom/i,
    (sentence, { question }) =>
      outside(
        question,
        [...sentence.matchAll(/\p{Lu}[\p{L}.]+(?: \p{Lu}[\p{L}.]+)+/gu)].map(([name]) => name),
      ),
  ],
  [
    /what (?:is|are|does)\b(?!.*\b(?:called|named)\b)(?!.*\bthat\b)/i,
    (sentence, { question }) => meaning(sentence, question),
  ],
  [/./s, (sentence, asked) => termOf(sentence, asked)],
];

function matchOf(text: string, pattern: RegExp): string | null {
  return pattern.exec(text)?.[0] ?? null;
}

/** A number, before the thing that is counted where the question names it. */
function numberIn(sentence: string, question: string): string | null {
  const number = `(?:\\d[\\d,.]*\\d|\\d|\\b(?:${numberWords})\\b)`;
  const [, counted] = /how many (\p{L}+)/iu.exec(question) ?? [];
  const before = counted === undefined ? "" : `(?=(?:\\s+\\S+){0,2}?\\s+${counted})`;
  return matchOf(sentence, new RegExp(number + before, "iu")) ?? matchOf(sentence, new RegExp(number, "iu"));
}

function outside(question: string, candidates: readonly string[]): string | null {
  return candidates.find((candidate) => !isIn(question, candidate)) ?? null;
}

/** What the sentence says that the thing asked for is. */
function meaning(sentence: string, question: string): string | null {
  const told = /^(.{1,80}?)\s+(?:is|are|means|:|-|–|—)\s+(.+)$/.exec(sentence);
  if (told === null || !isIn(question, told[1].replace(/^(?:the|an?)\s/i, ""))) return null;
  return trimmed(told[2].split(/[.;,(]/)[0]);
}

/** A term: what stands above the sentence or at its head, or a word of code in it. */
function termOf(sentence: string, { question, head }: { question: string; head: string }): string | null {
  const inCode = [...sentence.matchAll(code)].map(([word]) => word);
  const quoted = [...sentence.matchAll(/[`"“‘']([^`"”’']{2,40})[`"”’']/g)].map(([, inner]) => inner);
  const [, opening] =
    /^(?:(?:the|an?)\s+)?(.{2,50}?)(?:\s+(?:is|are|was|means|refers)\b|\s*[:–—]|\s-\s)/i.exec(sentence) ?? [];
  const asksForCode =
    /option|flag|switch|variable|setting|parameter|function|method|command|file|module|class|keyword/i.test(question);
  const first = asksForCode
    ? [head.match(code)?.[0], ...inCode, ...quoted, head, opening]
    : [opening, head, ...quoted, ...inCode];
  const candidates = first
    .flatMap((word) => (word === undefined ? [] : [trimmed(word)]))
    .filter((word) => word.length > 1 && word.split(" ").length <= 8);
  return outside(question, candidates);
}
