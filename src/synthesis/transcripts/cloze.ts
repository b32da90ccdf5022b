/** @file Cloze questions: a gap in a sentence, filled with what stands between the same words in a passage. */
import type { Reading } from "./extract.js";

/** A gap and the words on either side of it. */
interface Blank {
  before: string;
  after: string;
}

const gap = /_{2,}|\[(?:blank|gap|\.{3}|…)\]|(?<=\s)(?:\.{3,}|…)(?=[\s.,;?!])/i;
/** Most words of a filled gap, and words beside it that are compared. */
const most = { filled: 10, beside: 8 };

/** The gap of a question: of its quoted part, where one holds it. Null for a question without a gap. */
export function blankOf(question: string): Blank | null {
  const quoted = [...question.matchAll(/["“«](.*?)["”»](?=[\s.?!,]|$)/gs)]
    .map(([, inner]) => inner)
    .find((inner) => gap.test(inner));
  const text = quoted ?? question.slice(question.search(/(?<=:\s)(?=.*?(?:_{2,}|\[|\.{3}|…))/s) + 1 || 0);
  const found = gap.exec(text);
  if (found === null) return null;
  return { before: text.slice(0, found.index), after: text.slice(found.index + found[0].length) };
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

/** What stands in the gap in the passage that fits best; null where none has the words beside it. */
export function fillBlank(blank: Blank, passages: readonly { title: string; text: string }[]): Reading | null {
  const [before, after] = [wordsOf(blank.before), wordsOf(blank.after)].map((words) => words.map(({ plain }) => plain));
  const left = before.slice(-most.beside).reverse();
  const right = after.slice(0, most.beside);
  let best: (Reading & { score: number }) | null = null;
  for (const [at, { title, text }] of passages.entries())
    for (const source of [text, title]) {
      const found = bestSpan(wordsOf(source), left, right);
      if (found === null || found.score <= (best?.score ?? 0)) continue;
      const answer = source.slice(found.start, found.end);
      best = {
        answer: trimmedGap(answer),
        sentence: around(source, found),
        document: at + 1,
        fit: found.fit,
        score: found.score,
      };
    }
  return best === null || best.answer === "" ? null : best;
}

interface Span {
  start: number;
  end: number;
  fit: number;
  score: number;
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

/** What is shown of the sentence: from its beginning to its end, as far as they are near. */
function around(text: string, { start, end }: Span): string {
  const before =
    text
      .slice(0, start)
      .split(/(?<=[.!?])\s+|\n\s*\n/)
      .at(-1) ?? "";
  const after = text.slice(end).split(/(?<=[.!?])(?=\s)|\n\s*\n/)[0];
  return (before + text.slice(start, end) + after).replace(/\s+/g, " ").trim();
}

function trimmedGap(span: string): string {
  return span.replace(/\s+/g, " ").replace(/^["'`“”‘’(*]+|["'`“”‘’*,;:.!?¶]+$/gu, "");
}
