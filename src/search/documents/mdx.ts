/** @file MDX: Markdown without its imports, exports, comments and the tags of its components. */
import { frontMatter } from "./front-matter.js";
import { readMarkdown } from "./markdown.js";
import type { ReadDocument } from "./read.js";

/** A tag that does not end within so many characters is none: this bounds the time that is spent on looking. */
const longestTag = 4_000;

/** MDX as Markdown. Titles and labels of components stay as text: they head what stands in them. */
export function readMdx(source: string): ReadDocument {
  const { body } = frontMatter(source);
  const head = source.slice(0, source.length - body.length);
  return readMarkdown(head + withoutDeepIndentation(withoutJsx(withoutModuleLines(body))));
}

/** Code, in fences and within lines: it stays as it is. */
const code =
  /^([ \t]*)(`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:\n[ \t]*\2[`~]*[ \t]*$|(?![\s\S]))|(`+)(?!`)[^\n]*?[^`\n]\3(?!`)/gm;

/** Imports and exports stand at the beginning of a line, and end with a blank one. */
function withoutModuleLines(source: string): string {
  return outsideCode(source, (text) =>
    text.replace(/^(?:import\s[^\n]*?["'][^\n]*|import\s*\{[^}]*\}[^\n]*|export\s[^\n]*(?:\n[^\n]+)*)/gm, ""),
  );
}

/** Where code, a tag or a comment begins. */
const codeOrTag = new RegExp(`${code.source}|<\\/?(?:[A-Za-z][\\w.-]*(?=[\\s/>])|(?=>))|\\{\\/\\*`, "gm");

function withoutJsx(source: string): string {
  const kept: string[] = [];
  let from = 0;
  codeOrTag.lastIndex = 0;
  for (let match = codeOrTag.exec(source); match !== null; match = codeOrTag.exec(source)) {
    const [found] = match;
    if (!/^[<{]/.test(found)) continue;
    const end = found === "{/*" ? commentEnd(source, match.index) : tagEnd(source, match.index);
    if (end < 0) continue;
    kept.push(
      source.slice(from, match.index),
      found === "{/*" ? "" : wordsOfTag(found, source.slice(match.index, end)),
    );
    // Code in a tag is none of the text.
    codeOrTag.lastIndex = from = end;
  }
  return kept.join("") + source.slice(from);
}

function outsideCode(source: string, change: (text: string) => string): string {
  const pieces: string[] = [];
  let from = 0;
  for (const { index, 0: found } of source.matchAll(code)) {
    pieces.push(change(source.slice(from, index)), found);
    from = index + found.length;
  }
  return pieces.join("") + change(source.slice(from));
}

/** MDX knows no code by indentation: what stands deep stands in components, fences too. */
function withoutDeepIndentation(source: string): string {
  const shallow = source.replace(code, (found: string, indent: string | undefined) =>
    indent === undefined || indent.length < 4 ? found : found.replaceAll(`\n${indent}`, "\n").slice(indent.length),
  );
  return outsideCode(shallow, (text) => text.replace(/^[ \t]{4,}(?![-*+\s]|\d+[.)]\s)/gm, "  "));
}

function commentEnd(text: string, start: number): number {
  const end = text.indexOf("*/}", start);
  return end < 0 ? text.length : end + 3;
}

/** Behind the ">" of a tag, or −1. Quotations and braces in it may hold others. */
function tagEnd(text: string, start: number): number {
  let braces = 0;
  let quote = "";
  for (let at = start + 1; at < text.length && at < start + longestTag; at++) {
    const sign = text[at];
    if (quote !== "") quote = sign === quote ? "" : quote;
    else if (sign === '"' || (sign === "'" && /[=({,\s]/.test(text[at - 1])) || (sign === "`" && braces > 0))
      quote = sign;
    else if (sign === "{") braces++;
    else if (sign === "}") braces--;
    else if (sign === ">" && braces <= 0) return at + 1;
  }
  return -1;
}

/** What a tag shows by itself. */
function wordsOfTag(name: string, tag: string): string {
  if (/^<br$/i.test(name)) return "\n";
  const shown = [...tag.matchAll(/\s(?:title|label|summary|alt)=(?:"([^"]*)"|'([^']*)')/g)];
  return shown.map(([, double, single]) => double ?? single).join("\n");
}
