/** @file Jupyter notebooks: their Markdown, their code, and the text that the code has printed. */
import { UserError } from "../../errors.js";
import type { Block } from "./block.js";
import { readMarkdown } from "./markdown.js";
import type { ReadDocument } from "./read.js";

/** Longer printed text is a log or a table of data; it is cut there. UTF-16 units. */
const longestOutput = 2_000;

/**
 * A notebook (nbformat 3 and 4). Pictures, errors and drawn output are left out.
 * @throws UserError for what is no notebook
 */
export function readNotebook(source: string): ReadDocument {
  const notebook = parsed(source);
  const language = textOf(recordOf(recordOf(notebook.metadata).language_info).name);
  const blocks: Block[] = [];
  let title = textOf(recordOf(notebook.metadata).title);
  for (const cell of cellsOf(notebook)) {
    const text = textOf(cell.source ?? cell.input).trim();
    if (text !== "" && cell.cell_type === "markdown") {
      const read = readMarkdown(text);
      title ||= read.title;
      blocks.push(...read.blocks);
    } else if (text !== "" && cell.cell_type === "heading") {
      blocks.push({ level: Math.min(6, Math.max(1, Number(cell.level) || 1)), text: text.replace(/\s+/g, " ") });
    } else if (text !== "") {
      blocks.push(cell.cell_type === "code" ? codeBlock(text, language) : { level: 0, text });
    }
    for (const output of recordsOf(cell.outputs)) blocks.push(...outputOf(output));
  }
  return { title, blocks };
}

type Json = Record<string, unknown>;

function parsed(source: string): Json {
  try {
    const value = JSON.parse(source.replace(/^\ufeff/, "")) as unknown;
    const notebook = recordOf(value);
    if (Array.isArray(notebook.cells) || Array.isArray(notebook.worksheets)) return notebook;
  } catch (cause) {
    throw new UserError(`it is no notebook: it is not JSON (${(cause as Error).message})`, { cause });
  }
  throw new UserError('it is no notebook: its JSON has no list "cells"');
}

function cellsOf(notebook: Json): Json[] {
  // The sheets are nbformat 3's.
  return [...recordsOf(notebook.cells), ...recordsOf(notebook.worksheets).flatMap(({ cells }) => recordsOf(cells))];
}

/** What a cell has printed, or the value of its last line. */
function outputOf(output: Json): Block[] {
  const printed = output.output_type === "stream" ? output.text : recordOf(output.data)["text/plain"];
  const text = textOf(printed).trimEnd();
  // "<Figure size 640x480 with 1 Axes>" stands for a picture.
  if (text.trim() === "" || /^<[^<>]*>$/.test(text.trim())) return [];
  const kept = text.length > longestOutput ? `${text.slice(0, longestOutput)}…` : text;
  return [codeBlock(kept, "")];
}

/** Code in fences, which are longer than any inside. */
export function codeBlock(code: string, language: string): Block {
  const longest = [...code.matchAll(/`{3,}/g)].reduce((most, [found]) => Math.max(most, found.length), 2);
  const fence = "`".repeat(longest + 1);
  return { level: 0, text: `${fence}${language}\n${code}\n${fence}`, kind: "code" };
}

/** Text, which the format also writes as a list of lines. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.filter((line) => typeof line === "string").join("") : "";
}

function recordOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function recordsOf(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}
