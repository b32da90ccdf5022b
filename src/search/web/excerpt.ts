/** @file The part of a page that a search was about. */
import { nextTurn } from "../../async.js";
import { Analyzer } from "../text/analyzer.js";
import { wholeCharacters } from "./clean.js";

const analyzer = new Analyzer();

/** BM25's settings of this project, over the paragraphs of one page. */
const k1 = 0.9;
const b = 0.4;

/** Longest stretch of work before other work on this thread gets its turn. Milliseconds. */
const patienceMs = 8;

/**
 * The stretch of whole paragraphs, at most `maxCharacters` long, that matches query and snippet best: with the highest sum of BM25 scores over
 * the page's paragraphs; the earliest of equals. Paragraphs that are too long are taken as their sentences.
 * @param text paragraphs with blank lines between them
 * @returns undefined for a page that holds none of the words
 */
export async function bestExcerpt(
  text: string,
  query: string,
  snippet: string,
  maxCharacters: number,
): Promise<string | undefined> {
  const pieces = piecesOf(text, maxCharacters);
  const sizes = pieces.map(({ text, gap }) => text.length + gap.length);
  const scores = await scoresOf(
    pieces.map(({ text }) => text),
    analyzer.terms(`${query} ${snippet}`),
  );
  let best = { score: 0, start: 0, end: 0 };
  let [score, length] = [0, 0];
  for (let start = 0, end = 0; end < pieces.length;) {
    score += scores[end];
    length += sizes[end++];
    while (length > maxCharacters) {
      score -= scores[start];
      length -= sizes[start++];
    }
    // Sums of floats: the same pieces may add up to a hair more in another order.
    if (score > best.score + 1e-9) best = { score, start, end };
  }
  if (best.score === 0) return undefined;
  let { start, end } = best;
  // The room goes to what follows the match rather than to what stands before it.
  while (scores[start] === 0) start++;
  let used = sizes.slice(start, end).reduce((sum, size) => sum + size, 0);
  while (end < pieces.length && used + sizes[end] <= maxCharacters) used += sizes[end++];
  return pieces
    .slice(start, end)
    .map(({ text, gap }, index) => (index === 0 ? text : gap + text))
    .join("");
}

interface Piece {
  text: string;
  /** What stands between it and the piece before. */
  gap: string;
}

function piecesOf(text: string, maxCharacters: number): Piece[] {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim())
    .filter((paragraph) => paragraph !== "")
    .flatMap((paragraph) =>
      split(paragraph, maxCharacters).map((text, index) => ({ text, gap: index === 0 ? "\n" : " " })),
    );
}

/** One piece where it fits; else its sentences, and parts of sentences that are too long themselves, cut at spaces where there are any. */
function split(paragraph: string, maxCharacters: number): string[] {
  // The gap counts as well.
  const room = maxCharacters - 1;
  if (paragraph.length <= room) return [paragraph];
  const parts: string[] = [];
  for (const sentence of paragraph.split(/(?<=[.!?…。])\s+/)) {
    let rest = sentence;
    while (rest.length > room) {
      const space = rest.lastIndexOf(" ", room);
      const cut = space > room / 2 ? space : wholeCharacters(rest, room);
      parts.push(rest.slice(0, cut));
      rest = rest.slice(cut).trimStart();
    }
    if (rest !== "") parts.push(rest);
  }
  return parts;
}

/** BM25 of each text for these terms, with statistics over the texts themselves. */
async function scoresOf(texts: readonly string[], query: readonly string[]): Promise<Float64Array> {
  const wanted = new Set(query);
  const found: Map<string, number>[] = [];
  const lengths: number[] = [];
  const documentFrequency = new Map<string, number>();
  let lastPause = performance.now();
  for (const text of texts) {
    const terms = analyzer.terms(text);
    const frequencies = new Map<string, number>();
    for (const term of terms) if (wanted.has(term)) frequencies.set(term, (frequencies.get(term) ?? 0) + 1);
    for (const term of frequencies.keys()) documentFrequency.set(term, (documentFrequency.get(term) ?? 0) + 1);
    found.push(frequencies);
    lengths.push(terms.length);
    if (performance.now() - lastPause < patienceMs) continue;
    await nextTurn();
    lastPause = performance.now();
  }
  const meanLength = lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length);
  return Float64Array.from(found, (frequencies, index) => {
    let score = 0;
    for (const [term, frequency] of frequencies) {
      const n = documentFrequency.get(term) as number;
      const idf = Math.log(1 + (texts.length - n + 0.5) / (n + 0.5));
      score += (idf * frequency) / (frequency + k1 * (1 - b + (b * lengths[index]) / meanLength));
    }
    return score;
  });
}
