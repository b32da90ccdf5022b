/** @file Queries as search services take them, and the snippets they give back, as plain text. */
import { decodeHTMLStrict } from "entities";
import { normaliseText } from "../text/normalise.js";

export interface QueryLimits {
  /** Longest query. UTF-16 units. */
  maxCharacters: number;
  maxWords?: number;
  /** What the service would take for a command to itself; taken out. */
  commands?: RegExp;
}

/**
 * A query on one line, without control characters or halves of characters, cut to a service's limits at a word's end where there is one.
 * Punctuation stays: quotes and operators mean something to these services.
 */
export function cleanQuery(query: string, { maxCharacters, maxWords = 10_000, commands }: QueryLimits): string {
  let line = query.replace(/[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069\s]+/gu, " ").trim();
  if (commands !== undefined) line = line.replace(commands, "").replace(/ +/g, " ").trim();
  // More words than fit need not be looked at.
  const words = line.slice(0, maxCharacters + 1).split(" ", maxWords + 1);
  const kept = words.slice(0, maxWords).join(" ");
  if (kept.length <= maxCharacters) return kept;
  const space = kept.lastIndexOf(" ", maxCharacters);
  return space > 0 ? kept.slice(0, space) : kept.slice(0, wholeCharacters(kept, maxCharacters));
}

/** `end`, or one less where a cut there would divide a character. */
export function wholeCharacters(text: string, end: number): number {
  return end > 1 && /[\ud800-\udbff]/.test(text[end - 1]) ? end - 1 : end;
}

/** Tags that services put around matches or take over from pages. Others stay as they are: "a < b" and "vector<int>" are text. */
const inlineTags =
  /<\/?(?:b|strong|em|i|u|mark|br|wbr|p|span|sub|sup|small|a|div|li|ul|ol|td|tr|h[1-6])(?:\s[^<>]*)?\/?>/gi;

/**
 * A title or snippet as text on one line: mark-up taken off, entities decoded once (`&amp;lt;` is the text `&lt;`), whitespace joined.
 * An entity ends with its semicolon: services write them so, and `?a=1&copy=2` in a plain text is no ©. The result is still a stranger's
 * text; the sanitizer sees to protocol tags and control characters where passages are rendered.
 */
export function cleanText(text: string): string {
  const plain = text.replace(inlineTags, (tag) =>
    /^<\/?(?:b|strong|em|i|u|mark|wbr|span|sub|sup|small|a)\b/i.test(tag) ? "" : " ",
  );
  return normaliseText(decodeHTMLStrict(plain)).replace(/\s+/g, " ").trim();
}
