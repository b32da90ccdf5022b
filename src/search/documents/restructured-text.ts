/**
 * @file reStructuredText as headings, text and code, in one pass over its lines. No library of npm reads it well; this one knows sections,
 * directives, literal blocks, comments, targets, roles and links, as docutils and Sphinx mean them. Tables stay as they are drawn.
 */
import type { Block } from "./block.js";
import { codeBlock } from "./notebook.js";
import type { ReadDocument } from "./read.js";

/** What these hold is no text of the document: pictures, lists of pages, what is meant for another form of output. */
const skippedDirectives = new Set(
  "image toctree contents include literalinclude raw index meta highlight default-role sectnum header footer role default-domain currentmodule module tabularcolumns testsetup testcleanup autosummary plot graphviz uml mermaid".split(
    " ",
  ),
);
const codeDirectives = new Set(
  "code code-block sourcecode parsed-literal prompt console productionlist doctest testcode testoutput math ipython".split(
    " ",
  ),
);
/** Their argument is no text: the file of a picture, a condition, names of classes. */
const withoutArgument = new Set("figure only container class csv-table list-table table-of-contents".split(" "));

export function readRestructuredText(source: string): ReadDocument {
  const reader = new RstReader(source.replaceAll("\t", "        ").split("\n"));
  return { title: "", blocks: reader.read() };
}

class RstReader {
  readonly #lines: readonly string[];
  readonly #blocks: Block[] = [];
  /** Lines of adornment as they are met: "=", or "==" where there is one above, too. */
  readonly #levels: string[] = [];
  #paragraph: string[] = [];
  #at = 0;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  read(): Block[] {
    while (this.#at < this.#lines.length) this.#next();
    this.#flush();
    return this.#blocks;
  }

  #next(): void {
    const line = this.#lines[this.#at];
    if (this.#takeHeading()) return;
    this.#at++;
    const explicit = /^(\s*)\.\.(?:\s+(.*))?$/.exec(line);
    if (explicit !== null) this.#takeExplicit(explicit[1].length, explicit[2] ?? "");
    else if (line.trim() === "") this.#flush();
    else if (/^__\s/.test(line)) return;
    else this.#takeText(line);
  }

  /** "Title" over a line of "====", perhaps with one above. */
  #takeHeading(): boolean {
    const [first, second = "", third = ""] = this.#lines.slice(this.#at, this.#at + 3);
    const isOver = isAdornment(first) && second.trim() !== "" && third.trimEnd() === first.trimEnd();
    const text = (isOver ? second : first).trim();
    const isUnder = !isOver && this.#paragraph.length === 0 && /^\S/.test(first) && isAdornment(second);
    if (!isOver && !(isUnder && !isAdornment(first) && second.trimEnd().length >= Math.min(text.length, 4)))
      return false;
    this.#flush();
    const style = isOver ? first[0].repeat(2) : second[0];
    if (!this.#levels.includes(style)) this.#levels.push(style);
    this.#blocks.push({ level: Math.min(6, this.#levels.indexOf(style) + 1), text: inline(text) });
    this.#at += isOver ? 3 : 2;
    return true;
  }

  /** What begins with "..": a directive, a target, a note, or a comment. */
  #takeExplicit(indent: number, text: string): void {
    this.#flush();
    const [, name = "", argument = ""] = /^(?:\|[^|]*\|\s*)?([\w:.+-]+?)::(?:\s+(.*))?$/.exec(text) ?? [];
    const isNote = /^\[[^\]]+\]\s/.test(text);
    if (isNote) this.#paragraph.push(inline(text));
    else if (name === "" || text.startsWith("|") || skippedDirectives.has(name)) this.#indentedBlock(indent);
    else {
      const known = /[^:]*$/.exec(name)?.[0] ?? "";
      if (codeDirectives.has(name)) {
        this.#skipOptions(indent);
        const code = this.#indentedBlock(indent);
        this.#code(
          name === "math" && argument !== "" ? [argument, ...code] : code,
          /^code|sourcecode/.test(name) ? argument : "",
        );
        return;
      }
      if (argument !== "" && !withoutArgument.has(known)) this.#paragraph.push(inline(argument));
      // What follows them is text like any other.
      this.#skipOptions(indent);
    }
  }

  #takeText(line: string): void {
    const indent = indentOf(line);
    const opensCode = /::\s*$/.test(line);
    const text = opensCode ? line.replace(/\s*::\s*$/, line.trim() === "::" || /\s::\s*$/.test(line) ? "" : ":") : line;
    if (text.trim() !== "") this.#paragraph.push(inline(text.trimEnd()));
    if (!opensCode) return;
    let after = this.#at;
    while (after < this.#lines.length && this.#lines[after].trim() === "") after++;
    if (after === this.#at || after >= this.#lines.length || indentOf(this.#lines[after]) <= indent) return;
    this.#flush();
    this.#code(this.#indentedBlock(indent), "");
  }

  #code(lines: readonly string[], language: string): void {
    if (lines.some((line) => line.trim() !== "")) this.#blocks.push(codeBlock(lines.join("\n"), language.trim()));
  }

  /** Whether the next line is part of what begins with so many spaces. */
  #isDeeper(indent: number): boolean {
    const line = this.#lines[this.#at];
    return line !== undefined && line.trim() !== "" && indentOf(line) > indent;
  }

  #skipOptions(indent: number): void {
    while (this.#isDeeper(indent) && /^\s*:[\w-]+:(\s|$)/.test(this.#lines[this.#at])) this.#at++;
  }

  /** The lines that stand deeper, without their common indentation. */
  #indentedBlock(indent: number): string[] {
    const begin = this.#at;
    let end = begin;
    while (this.#at < this.#lines.length && (this.#lines[this.#at].trim() === "" || this.#isDeeper(indent)))
      if (this.#lines[this.#at++].trim() !== "") end = this.#at;
    const lines = this.#lines.slice(begin, end);
    while (lines[0]?.trim() === "") lines.shift();
    return withoutIndentation(lines).map((line) => line.trimEnd());
  }

  #flush(): void {
    const text = withoutIndentation(this.#paragraph).join("\n");
    if (text.trim() !== "") this.#blocks.push({ level: 0, text });
    this.#paragraph = [];
  }
}

function isAdornment(line: string): boolean {
  return /^([!-/:-@[-`{-~])\1{2,}\s*$/.test(line);
}

/** Lines without the indentation that all have. */
function withoutIndentation(lines: readonly string[]): string[] {
  const common = lines.reduce(
    (least, line) => (line.trim() === "" ? least : Math.min(least, indentOf(line))),
    Infinity,
  );
  return lines.map((line) => line.slice(common));
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

/** Words of marked text: roles and links as what they show, literals as Markdown's. */
function inline(text: string): string {
  return text
    .split(/(``[^\n]+?``)/)
    .map((part, place) => (place % 2 === 1 ? part.slice(1, -1) : withoutMarks(part)))
    .join("");
}

function withoutMarks(text: string): string {
  return text
    .replace(/:[\w:+.-]{1,60}:`([^`<\n]+?)\s*<[^<>`\n]*>`/g, "$1")
    .replace(/:[\w:+.-]{1,60}:`[~!]?([^`\n]+)`/g, "$1")
    .replace(/`([^`<\n]+?)\s*<([^<>`\n]*)>`__?/g, "$1 ($2)")
    .replace(/`([^`\n]+)`_{0,2}/g, "$1")
    .replace(/\|([^|\s][^|\n]{0,60}?)\|/g, "$1")
    .replace(/(?<![\w.+:-])((?:[^\W_]+[-._+:])*[^\W_]+)__?(?=[\s.,;:!?)]|$)/g, "$1")
    .replace(/\\([^\w\s])/g, "$1");
}
