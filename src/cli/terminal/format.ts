/** @file Numbers and tables as people read them. Pure functions; widths ignore colour codes. */
import { stripVTControlCharacters } from "node:util";

/** 83_000 → "1 m 23 s"; below ten seconds one decimal. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} m`;
}

/** 1234567 → "1,234,567". */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** `1 step`, `1,200 steps`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** 12_582_912 → "12.0 MB" (1 MB = 2^20 bytes). */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** 0.934 → "93.4 %". */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Columns that a text takes, colour codes not counted. */
export function visibleWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** Cuts a text to `columns`, keeping colour codes whole and closing them. */
export function fitColumns(text: string, columns: number): string {
  if (visibleWidth(text) <= columns) return text;
  let width = 0;
  let result = "";
  for (const [piece] of text.matchAll(/\x1b\[[0-9;]*m|./gsu)) {
    if (!piece.startsWith("\x1b")) width += 1;
    if (width === columns) return `${result}…${result.includes("\x1b") ? "\x1b[0m" : ""}`;
    result += piece;
  }
  return result;
}

/**
 * A text as lines of at most `columns`, broken at spaces, the further ones indented; only a word that is longer is cut. So a narrow terminal keeps the
 * numbers of a line.
 */
export function foldColumns(text: string, columns: number, indent = 4): string[] {
  if (visibleWidth(text) <= columns) return [text];
  const further = " ".repeat(Math.min(indent, columns >> 2));
  const lines: string[] = [];
  let line = " ".repeat(text.length - text.trimStart().length);
  let isBegun = false;
  for (const [, spaces, word] of text.trimStart().matchAll(/( *)([^ ]+)/g)) {
    if (isBegun && visibleWidth(line + spaces + word) <= columns) {
      line += spaces + word;
      continue;
    }
    if (isBegun) {
      lines.push(line);
      line = further;
    }
    line = fitColumns(line + word, columns);
    isBegun = true;
  }
  return [...lines, line];
}

/**
 * Rows as aligned columns: the first column to the left, the others to the right, two spaces between them.
 * @param rows the first row is the heading; rows may have fewer cells than the heading
 */
export function table(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => visibleWidth(row[column] ?? ""))),
  );
  return rows.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? "";
        const padding = " ".repeat(width - visibleWidth(cell));
        return column === 0 ? cell + padding : padding + cell;
      })
      .join("  ")
      .trimEnd(),
  );
}

/** The same within so many columns: where they are too few, each row becomes a paragraph, its cells under their headings one below the other. */
export function fitTable(rows: readonly (readonly string[])[], columns: number): string[] {
  const lines = table(rows);
  if (Math.max(...lines.map(visibleWidth)) <= columns) return lines;
  const [[corner, ...headings], ...rest] = rows;
  const paragraph = ([name, ...cells]: readonly string[]): string[] => [
    name,
    ...table(cells.map((cell, column) => [`  ${headings[column]}`, cell])),
  ];
  return [...(corner === "" ? [] : [corner]), ...rest.flatMap(paragraph)];
}

const barSteps = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** The last `columns` values as bars, 0 at the bottom and `top` at the height of a line. */
export function sparkline(values: readonly number[], columns: number, top = 1): string {
  return values
    .slice(-columns)
    .map((value) => {
      const step = Math.round((value / top) * (barSteps.length - 1));
      return barSteps[Math.min(barSteps.length - 1, Math.max(0, step))];
    })
    .join("");
}

/** A horizontal bar of `columns` cells, `share` of them filled. */
export function bar(share: number, columns: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * columns);
  return "█".repeat(filled) + "░".repeat(columns - filled);
}
