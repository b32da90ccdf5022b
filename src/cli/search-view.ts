/** @file What engines found, for people: one list, or several side by side. Nothing that was found can steer the terminal. */
import { Analyzer } from "../search/text/analyzer.js";
import { oneLine, printable } from "../printable.js";
import { highlightMatches, snippet } from "../search/text/highlight.js";
import type { Passage } from "../types.js";
import type { Column } from "./search.js";
import { duration, fitColumns, foldColumns, visibleWidth } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";

/** Characters of a passage that are shown; --json has it whole. */
const longestText = 400;
const longestTextInColumn = 200;
/** Narrower columns are shown one below the other. */
const narrowest = 36;
const gap = "  │ ";

/** Shows them, the engines' names and times above them where there are several. */
export function showColumns(terminal: Terminal, query: string, columns: readonly Column[]): void {
  const { colors } = terminal;
  const painter = new Painter(query, (word) => colors.bold(colors.yellow(word)));
  const marks = marksOf(columns);
  const width = Math.floor((terminal.columns - gap.length * (columns.length - 1)) / columns.length);
  if (columns.length === 1 || width < narrowest) {
    for (const [place, column] of columns.entries()) {
      if (place > 0) terminal.print();
      if (columns.length > 1) terminal.print(headOf(column, terminal));
      for (const line of listOf(column, { terminal, painter, marks })) terminal.print(line);
    }
  } else {
    const cells = columns.map((column) => [
      headOf(column, terminal),
      ...listOf(column, { terminal, painter, marks, width }),
    ]);
    for (let row = 0; row < Math.max(...cells.map(({ length }) => length)); row++)
      terminal.print(
        cells
          .map((lines) => padded(lines[row] ?? "", width))
          .join(colors.dim(gap))
          .trimEnd(),
      );
  }
  if (columns.length === 1) terminal.note(terminal.progressColors.dim(`Searched with ${timeOf(columns[0])}`));
  else if (marks.size > 0) terminal.print(colors.dim("The same letter: the same passage."));
}

function timeOf({ engine, ms }: Column): string {
  return `${engine} in ${ms < 100 ? `${ms.toFixed(1)} ms` : duration(ms)}`;
}

function headOf(column: Column, { colors }: Terminal): string {
  return colors.bold(timeOf(column));
}

interface ListOptions {
  terminal: Terminal;
  painter: Painter;
  marks: ReadonlyMap<string, string>;
  /** Of a column, in which lines are broken; without it, a passage is one line. */
  width?: number;
}

function listOf(column: Column, { terminal: { colors }, painter, marks, width }: ListOptions): string[] {
  if ("error" in column) {
    const lines = width === undefined ? [printable(column.error)] : foldColumns(oneLine(column.error), width, 0);
    return lines.map((line) => colors.red(line));
  }
  if (column.hits.length === 0)
    return foldColumns(`No passage was found for "${oneLine(painter.query)}".`, width ?? Infinity, 0);
  return column.hits.flatMap((passage, rank) => {
    const { id, title, text, score } = passage;
    const mark = marks.get(keyOf(passage));
    const shownMark = mark === undefined ? "" : `${colors.cyan(mark)} `;
    const head = `${String(rank + 1).padStart(2)}. ${shownMark}`;
    const name = oneLine(title).trim() || "(no title)";
    const place = `${score.toFixed(3)}  ${oneLine(id)}`;
    if (width === undefined) {
      const body = snippet(text.replaceAll("\n", " "), painter.query, painter.analyzer, longestText);
      return [
        `${head}${painter.paint(name)}  ${colors.dim(place)}`,
        ...originOf(passage).map((from) => colors.dim(`    ${from}`)),
        `    ${painter.paint(body)}`,
      ];
    }
    const body = snippet(oneLine(text.slice(0, 200_000)), painter.query, painter.analyzer, longestTextInColumn);
    const [first, ...more] = foldColumns(name, width - visibleWidth(head), 0);
    return [
      head + painter.paint(first),
      ...more.map((line) => painter.paint(line)),
      colors.dim(fitColumns(`    ${place}`, width)),
      ...originOf(passage).map((from) => colors.dim(fitColumns(`    ${from}`, width))),
      ...foldColumns(body, width - 4, 0).map((line) => `    ${painter.paint(line)}`),
    ];
  });
}

/** Where a passage is from, as far as its title does not say it. */
function originOf({ title, url, section = "" }: Passage): string[] {
  const path = title.includes(section) ? [] : [oneLine(section)];
  return [...path, ...(url === undefined ? [] : [oneLine(url)])];
}

/** Paints the words of a query. Engines other than BM25 match meanings, not words: theirs are the words that happen to be the same. */
class Painter {
  readonly query: string;
  readonly analyzer = new Analyzer();
  readonly #mark: (word: string) => string;

  constructor(query: string, mark: (word: string) => string) {
    this.query = query;
    this.#mark = mark;
  }

  paint(text: string): string {
    return highlightMatches(text, this.query, this.analyzer, { paint: this.#mark });
  }
}

/** A letter for every passage that stands in more than one column, in the order of the first. */
function marksOf(columns: readonly Column[]): Map<string, string> {
  const times = new Map<string, number>();
  for (const column of columns)
    for (const key of new Set("hits" in column ? column.hits.map(keyOf) : []))
      times.set(key, (times.get(key) ?? 0) + 1);
  const shared = [...times].filter(([, count]) => count > 1).map(([key]) => key);
  return new Map(shared.map((key, place) => [key, letters(place)]));
}

/** Ids alone may be row numbers of different corpora. */
function keyOf({ id, title }: Passage): string {
  return JSON.stringify([id, title]);
}

/** A, B, …, Z, AA, AB, … */
function letters(place: number): string {
  const last = String.fromCharCode(65 + (place % 26));
  return place < 26 ? last : letters(Math.floor(place / 26) - 1) + last;
}

function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - visibleWidth(text)));
}
