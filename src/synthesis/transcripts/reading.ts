/** @file What a reader without a model makes of passages, and texts as it compares and answers with them. */
import { plainLine } from "../shapes.js";

export interface ReadPassage {
  title: string;
  text: string;
}

/** What was read. */
export interface Reading {
  answer: string;
  /** The sentence that holds it, in one line. */
  sentence: string;
  /** Place of the passage, from 1. */
  document: number;
  /** Share of the question's words that stand beside the answer; in [0, 1]. */
  fit: number;
}

/** Without what stands around a span in running text, and without markup of roles. */
export function trimmed(span: string): string {
  const bare = plainLine(span).replace(/^:[\w:]+:`[~.!]*/, "");
  return bare.replace(/^[\s"'`“”‘’(*[]+(?![)\]])|(?:[\s"'`“”‘’*,;:.!?¶]|(?<!\()\)|\](?!\w))+$/gu, "");
}
