/** @file Tables of values (.csv, .tsv): each row becomes lines of "column: value", so that a passage says what its numbers are. */
import Papa from "papaparse";
import { UserError } from "../../errors.js";
import type { Block } from "./block.js";
import type { ReadDocument } from "./read.js";

/** A longer name of a column is cut: it stands in every row. UTF-16 units. */
const longestName = 80;

/** All rows with the names of their columns: a table of bare numbers would become ten times its size. UTF-16 units. */
const longestText = 128 * 1024 * 1024;

/** Rows of a table with longer ones on average are sections of their own, so that a part of one says which row it is of. UTF-16 units. */
const longRow = 300;

/**
 * A table. Its first row names the columns; where that has numbers alone, they are called "column 1", …. Empty cells are left out. A comma,
 * a tab, a semicolon or "|" separates the cells: what separates most regularly at the beginning.
 * @param separator where it is known
 * @throws UserError for a quotation that does not end, and for a table that becomes too long with the names of its columns
 */
export function readTable(source: string, separator = ""): ReadDocument {
  const rows: string[] = [];
  let names: readonly string[] | undefined;
  let length = 0;
  forEachRow(source, separator, (cells) => {
    if (names === undefined) {
      const hasNames = !cells.every(isNumber);
      names = hasNames ? cells.map(nameOf) : [];
      if (hasNames) return;
    }
    const text = rowText(cells, names);
    length += text.length;
    if (length > longestText) throw new UserError(tooLong);
    if (text !== "") rows.push(text);
  });
  // Names alone say what a table without rows is about.
  if (rows.length === 0 && names !== undefined) rows.push(names.join(", "));
  const areSections = length > longRow * rows.length;
  return { title: "", blocks: rows.flatMap((text, row) => (areSections ? section(text, row) : [{ level: 0, text }])) };
}

const tooLong = `with the name of its column before each value it is longer than ${longestText / 1024 / 1024} million characters: leave out columns of bare numbers, or write the rows that are texts as JSONL`;

/** @throws UserError for a quotation that does not end */
function forEachRow(source: string, separator: string, take: (cells: readonly string[]) => void): void {
  let problem: string | undefined;
  Papa.parse<string[]>(source, {
    delimiter: separator,
    skipEmptyLines: "greedy",
    step: ({ data, errors }) => {
      const isOpen = errors.some(({ code }) => code === "MissingQuotes");
      if (isOpen) problem = "one of its quotations does not end";
      else take(data);
    },
  });
  if (problem !== undefined) throw new UserError(problem);
}

/** A row below its first cell; a long cell is no heading. */
function section(text: string, row: number): Block[] {
  const [first, ...rest] = text.split("\n");
  const isHeading = first.length <= longestName * 2;
  const heading: Block = { level: 2, text: isHeading ? first : `row ${row + 1}` };
  return [heading, { level: 0, text: (isHeading ? rest : [first, ...rest]).join("\n") }];
}

function nameOf(cell: string, place: number): string {
  const name = cell.replace(/\s+/g, " ").trim();
  if (name === "") return `column ${place + 1}`;
  return name.length > longestName ? `${name.slice(0, longestName)}…` : name;
}

function isNumber(cell: string): boolean {
  return /^\s*[-+]?[\d.,]+(?:e[-+]?\d+)?%?\s*$/i.test(cell);
}

function rowText(cells: readonly string[], names: readonly string[]): string {
  const lines = cells.map((cell, place) => {
    const value = cell.replace(/\s+/g, " ").trim();
    return value === "" ? "" : `${names[place] ?? `column ${place + 1}`}: ${value}`;
  });
  return lines.filter((line) => line !== "").join("\n");
}
