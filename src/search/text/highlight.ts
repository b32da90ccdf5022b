/** @file Passages for a terminal: the words that match a query stand out, and nothing in them can steer the terminal. */
import pc from "picocolors";
import { printable } from "../../printable.js";
import type { Analyzer } from "./analyzer.js";
import { normaliseText } from "./normalise.js";

interface HighlightOptions {
  /** How a matching word is shown; the default is bold yellow where the terminal has colours. */
  paint?: (word: string) => string;
}

/**
 * The text with every word painted whose term occurs in the query: "capitals" matches "capital". Control and bidirectional
 * characters become "�"; line breaks and tabs stay.
 */
export function highlightMatches(
  text: string,
  query: string,
  analyzer: Analyzer,
  options: HighlightOptions = {},
): string {
  const { paint = (word) => pc.bold(pc.yellow(word)) } = options;
  const wanted = new Set(analyzer.terms(normaliseText(query)));
  let shown = "";
  let done = 0;
  for (const { term, start, end } of analyzer.tokens(text)) {
    if (!wanted.has(term)) continue;
    shown += printable(text.slice(done, start)) + paint(printable(text.slice(start, end)));
    done = end;
  }
  return shown + printable(text.slice(done));
}

/** A snippet is taken from the beginning of longer texts: pages of the web may have megabytes. UTF-16 units. */
const longestSearched = 200_000;

/**
 * The stretch of at most `maxLength` characters that holds most of the query's terms, with "…" where the text goes on.
 * Cut at spaces. The earliest such stretch, when several hold as many. Linear time.
 */
export function snippet(text: string, query: string, analyzer: Analyzer, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const wanted = new Set(analyzer.terms(normaliseText(query)));
  const matches = analyzer.tokens(text.slice(0, longestSearched)).filter(({ term }) => wanted.has(term));
  /** How often each term stands in the stretch from one match to another. */
  const inside = new Map<string, number>();
  let best = { start: 0, terms: 0 };
  const add = (term: string, change: 1 | -1): void => {
    const times = (inside.get(term) ?? 0) + change;
    if (times > 0) inside.set(term, times);
    else inside.delete(term);
  };
  let behind = 0;
  for (const [place, { start, term }] of matches.entries()) {
    for (; behind < matches.length && matches[behind].end <= start + maxLength - 2; behind++)
      add(matches[behind].term, 1);
    if (inside.size > best.terms) best = { start, terms: inside.size };
    // A word longer than the stretch was never inside.
    if (place < behind) add(term, -1);
    else behind = place + 1;
  }
  return cutAtSpaces(text, best.start, maxLength);
}

/** From `start`, or from earlier where the text ends sooner than the room does. */
function cutAtSpaces(text: string, start: number, maxLength: number): string {
  const room = maxLength - 2;
  let from = start;
  if (from > text.length - room) from = Math.min(start, text.indexOf(" ", text.length - room - 1) + 1);
  let end = Math.min(text.length, from + room);
  if (end < text.length) {
    const space = text.lastIndexOf(" ", end);
    if (space > from) end = space;
  }
  return `${from > 0 ? "…" : ""}${text.slice(from, end).trim()}${end < text.length ? "…" : ""}`;
}
