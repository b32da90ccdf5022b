/**
 * @file Questions that quote the words around their answer: a gap in a sentence, or a description whose term is asked for. The quoted words are looked for in
 * the passages, and the answer is what stands between or before them.
 */
import { kindsOfNames, optionNames, plainLine } from "../shapes.js";
import { trimmed, type Reading, type ReadPassage } from "./reading.js";

/** A gap and the words on either side of it. */
interface Blank {
  before: string;
  after: string;
}

const gap = /_{2,}|\[(?:blank|gap|\.{3}|…)\]|(?<=\s)(?:\.{3,}|…)(?=[\s.,;?!])/i;
/** Most words of a filled gap, words beside it that are compared, and words of a term. */
const most = { filled: 10, beside: 8, term: 8 };
/** Least share of the words beside an answer that have to agree. */
const leastFit = 0.4;

/** The gap of a question: of its quoted part, where one holds it. Null for a question without a gap. */
export function blankOf(question: string): Blank | null {
  const quoted = [...question.matchAll(/["“«](.*?)["”»](?=[\s.?!,]|$)/gs)]
    .map(([, inner]) => inner)
    .find((inner) => gap.test(inner));
  const text = quoted ?? question.slice(Math.max(0, question.search(/(?<=:\s)(?=.*?(?:_{2,}|\[|\.{3}|…))/s)));
  const found = gap.exec(text);
  if (found === null) return null;
  return { before: text.slice(0, found.index), after: text.slice(found.index + found[0].length) };
}

/** The quoted description of a question that asks what is described; null for others. */
export function descriptionOf(question: string): string | null {
  return /\b(?:described|defined|explained)\b.*?["“«](.{12,}?)["”»]\s*\??\s*$/is.exec(question)?.[1] ?? null;
}

/** The predicate of a question for a subject: "What is an anonymous function that …?" → `is an anonymous function that …`. Null for others. */
function predicateOf(question: string): string | null {
  return /^what (?=(?:is|are) (?:an?|the) (?:\S+ ){3})(.*?)\??$/is.exec(question.trim())?.[1] ?? null;
}

/** What stands where the question has its gap, or before what it quotes; null where no passage has the quoted words. */
export function readQuoted(question: string, passages: readonly ReadPassage[]): Reading | null {
  const blank = blankOf(question);
  if (blank !== null) return fillBlank(blank, passages);
  const description = descriptionOf(question);
  const [quoted, noun] =
    description === null ? [predicateOf(question), ""] : [description, /^which (\w+)/i.exec(question)?.[1] ?? ""];
  return quoted === null ? null : readTerm(quoted, noun, passages);
}

interface Word {
  /** As it is compared. */
  plain: string;
  start: number;
  end: number;
}

function wordsOf(text: string): Word[] {
  return [...text.matchAll(/\S+/g)].flatMap(({ 0: written, index }) => {
    const plain = written.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
    return plain === "" ? [] : [{ plain, start: index, end: index + written.length }];
  });
}

interface Span {
  start: number;
  end: number;
  fit: number;
  score: number;
}

function fillBlank(blank: Blank, passages: readonly ReadPassage[]): Reading | null {
  const [before, after] = [wordsOf(blank.before), wordsOf(blank.after)].map((words) => words.map(({ plain }) => plain));
  const left = before.slice(-most.beside).reverse();
  const right = after.slice(0, most.beside);
  let best: (Reading & { score: number }) | null = null;
  for (const [at, { title, text }] of passages.entries())
    for (const source of [text, title]) {
      const found = bestSpan(wordsOf(source), left, right);
      if (found === null || found.score <= (best?.score ?? 0)) continue;
      const { fit, score } = found;
      best = { ...reading(source, found), document: at + 1, fit, score };
    }
  return best === null || best.answer === "" || best.fit < leastFit ? null : best;
}

/** @param left the words before the gap, the nearest first */
function bestSpan(words: readonly Word[], left: readonly string[], right: readonly string[]): Span | null {
  const beside = left.length + right.length;
  let best: Span | null = null;
  for (let from = 0; from < words.length; from++) {
    const matchedLeft = matching(left, (place) => words[from - 1 - place]?.plain);
    if (left.length > 0 && matchedLeft === 0) continue;
    for (let to = from + 1; to <= Math.min(words.length, from + most.filled); to++) {
      const matchedRight = matching(right, (place) => words[to + place]?.plain);
      if (right.length > 0 && matchedRight === 0) continue;
      const score = matchedLeft + matchedRight - 0.2 * (to - from - 1);
      if (beside === 0 || score <= (best?.score ?? 0)) continue;
      best = { start: words[from].start, end: words[to - 1].end, fit: (matchedLeft + matchedRight) / beside, score };
    }
  }
  return best;
}

/** Words that agree, from the gap outwards. */
function matching(wanted: readonly string[], at: (place: number) => string | undefined): number {
  const first = wanted.findIndex((word, place) => at(place) !== word);
  return first < 0 ? wanted.length : first;
}

function reading(source: string, { start, end }: Pick<Span, "start" | "end">): Pick<Reading, "answer" | "sentence"> {
  const before =
    source
      .slice(0, start)
      .split(/(?<=[.!?])\s+|\n\s*\n/)
      .at(-1) ?? "";
  const after = source.slice(end).split(/(?<=[.!?])(?=\s)|\n\s*\n/)[0];
  const answer = trimmed(source.slice(start, end));
  return { answer, sentence: plainLine(before + source.slice(start, end) + after) };
}

/** The term that stands before a description: in its line, or in the line above it. */
function readTerm(quoted: string, noun: string, passages: readonly ReadPassage[]): Reading | null {
  const wanted = wordsOf(quoted).map(({ plain }) => plain);
  const compared = wanted.slice(0, 2 * most.beside);
  let best: Reading | null = null;
  for (const [at, { title, text }] of passages.entries()) {
    const words = wordsOf(text);
    for (const [from, { start }] of words.entries()) {
      const fit = matching(compared, (place) => words[from + place]?.plain) / compared.length;
      if (fit < leastFit || fit <= (best?.fit ?? 0)) continue;
      const head = unitBefore(text.slice(0, start)) || title.split(" › ").at(-1) || "";
      const answer = nameIn(head, noun);
      if (answer === "" || answer.split(" ").length > most.term) continue;
      const rest = text.slice(start).split(/(?<=[.!?])\s/)[0];
      const joint = /^(?:is|are)\b/.test(quoted) ? " " : ": ";
      best = { answer, sentence: plainLine(`${answer}${joint}${rest}`), document: at + 1, fit };
    }
  }
  return best;
}

/** The line or the part of a sentence that ends where a text ends. */
function unitBefore(text: string): string {
  const before = text.replace(/(?:[\s:|–—*`-]|\b(?:the|an?)\b)+$/i, "");
  return (
    before
      .split(/\n|(?<=[.!?])\s+/)
      .at(-1)
      ?.trim() ?? ""
  );
}

/** Signs of lists, directives of reStructuredText, and words that say what a name is. */
const beforeName = new RegExp(String.raw`^(?:[-*+•]\s+|\.\.\s+[\w:]+::\s*|(?:${kindsOfNames}|type)\s+)+`, "i");

/** The name in a line that stands above or before a description: without signs of lists and markup, arguments and types. */
function nameIn(line: string, noun: string): string {
  const bare = plainLine(line)
    .replace(/^\|\s*/, "")
    .split(" | ")[0]
    .replace(/(?<=\w)\*\*.*$/, "")
    .replace(beforeName, "")
    .replace(/^(?:the|an?)\s+/i, "");
  if (/^-/.test(bare) || noun === "option") {
    const [longest] = optionNames(bare);
    if (longest !== undefined) return longest;
  }
  return trimmed(bare.replace(/(?:(?<=\w)[([<{=]|\s[([<{=]).*$/, "").replace(/:+$/, ""));
}
