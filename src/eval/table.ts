/** @file Tables of evaluations: one model of a table, and its forms for a terminal, Markdown, CSV, JSON and LaTeX. */
import type { AtK } from "./attempts.js";
import type { EvaluationReport, EvaluationSummary } from "./evaluation.js";
import type { Estimate } from "./intervals.js";
import { metrics } from "./metrics.js";

/** A cell: its text for people, its numbers for programs. */
export interface Cell {
  text: string;
  value?: number;
  /** Of the 95 % interval. */
  low?: number;
  high?: number;
}

export interface Table {
  title?: string;
  /** Names of the columns; the first is that of the rows' names and may be empty. */
  header: readonly string[];
  /** The first cell names the row; spaces before its text place it below another. */
  rows: readonly (readonly Cell[])[];
  /** Rows, by number, above which a line is drawn. */
  rules?: readonly number[];
  /** Sentences below the table. */
  notes?: readonly string[];
}

export const tableFormats = ["terminal", "markdown", "csv", "json", "latex"] as const;
export type TableFormat = (typeof tableFormats)[number];

const writers: Readonly<Record<TableFormat, (table: Table) => string>> = { terminal, markdown, csv, json, latex };

/** The table in a format, ended by one line break. */
export function renderTable(table: Table, format: TableFormat): string {
  return `${writers[format](table).trimEnd()}\n`;
}

const nothing = "–";

/** A cell of words. */
export function textCell(text: string): Cell {
  return { text };
}

/** A number with so many decimals. */
export function numberCell(value: number | null | undefined, digits = 2): Cell {
  return value == null ? { text: nothing } : { text: value.toFixed(digits), value };
}

/** `0.913 [0.876, 0.940]` */
export function shareCell(estimate: Estimate | undefined): Cell {
  if (estimate === undefined || Number.isNaN(estimate.value)) return { text: nothing };
  return { text: formatShare(estimate), ...numbersOf(estimate) };
}

/** `+0.021 [−0.010, +0.052]` */
export function differenceCell(estimate: Estimate): Cell {
  return { text: formatDifference(estimate), ...numbersOf(estimate) };
}

function numbersOf({ value, low, high }: Estimate): Omit<Cell, "text"> {
  return { value, low, high };
}

/** `0.913 [0.876, 0.940]`: a share with its 95 % interval. */
export function formatShare({ value, low, high }: Estimate): string {
  return `${value.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

/** `+0.021 [−0.010, +0.052]`: a difference with its 95 % interval. */
export function formatDifference({ value, low, high }: Estimate): string {
  return `${signed(value)} [${signed(low)}, ${signed(high)}]`;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

function terminal({ title, header, rows, rules = [], notes = [] }: Table): string {
  const texts = rows.map((row) => row.map(({ text }) => text));
  const widths = header.map((name, column) => Math.max(name.length, ...texts.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  const body = texts.flatMap((row, index) => (rules.includes(index) ? [rule, line(row)] : [line(row)]));
  return [...(title === undefined ? [] : [title]), line(header), rule, ...body, ...notes].join("\n");
}

function markdown({ title, header, rows, notes = [] }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.trim().replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    ...(title === undefined ? [] : [`**${title}**`, ""]),
    line(header),
    `|${" --- |".repeat(header.length)}`,
    ...rows.map((row) => line(row.map(({ text }) => text))),
    ...(notes.length > 0 ? ["", notes.join(" ")] : []),
  ].join("\n");
}

/** Numbers in full; a column with intervals is followed by one for each end of them. Title and notes are for people. */
function csv({ header, rows }: Table): string {
  const hasInterval = header.map((_, column) => rows.some((row) => row[column]?.low !== undefined));
  const heading = header.flatMap((name, column) =>
    hasInterval[column] ? [name, `${name} low`, `${name} high`] : [name],
  );
  const cells = (row: readonly Cell[]): string[] =>
    row.flatMap(({ text, value, low, high }, column) => {
      const own = value === undefined ? text.trim().replace(nothing, "") : String(value);
      return hasInterval[column] ? [own, String(low ?? ""), String(high ?? "")] : [own];
    });
  return [heading, ...rows.map(cells)].map((line) => line.map(quoted).join(",")).join("\n");
}

/** RFC 4180. */
function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

function json({ title, header, rows, notes }: Table): string {
  return JSON.stringify({ title, columns: header, rows, notes }, null, 2);
}

/** Needs the package booktabs. */
function latex({ title, header, rows, rules = [], notes = [] }: Table): string {
  const line = (cells: readonly string[]): string => `${cells.map(escaped).join(" & ")} \\\\`;
  const body = rows.flatMap((row, index) => {
    const text = line(row.map((cell) => cell.text));
    return rules.includes(index) ? ["\\midrule", text] : [text];
  });
  return [
    ...(title === undefined ? [] : [`% ${title}`]),
    `\\begin{tabular}{l${"r".repeat(header.length - 1)}}`,
    "\\toprule",
    line(header),
    "\\midrule",
    ...body,
    "\\bottomrule",
    "\\end{tabular}",
    ...notes.map((note) => `% ${note}`),
  ].join("\n");
}

const latexCharacters: Readonly<Record<string, string>> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
  "−": "$-$",
  "÷": "$\\div$",
  "–": "--",
};

function escaped(cell: string): string {
  const text = cell.trim().replace(/[&%$#_{}]|[\\~^−÷–]/g, (found) => latexCharacters[found] ?? `\\${found}`);
  return cell.startsWith(" ") ? `\\quad ${text}` : text;
}

/** A column of a table of evaluations. */
export interface EvaluationColumn {
  /** For example `before, greedy`. */
  name: string;
  report: EvaluationReport;
}

/** A row: nothing where no evaluation has it. */
type RowMaker = (columns: readonly EvaluationColumn[]) => readonly (readonly Cell[])[];

function rowOf(name: string, cell: (report: EvaluationReport) => Cell | undefined): RowMaker {
  return (columns) => {
    const cells = columns.map(({ report }) => cell(report));
    if (cells.every((one) => one === undefined)) return [];
    return [[textCell(name), ...cells.map((one) => one ?? { text: nothing })]];
  };
}

const optionalShare = (estimate: Estimate | undefined): Cell | undefined =>
  estimate === undefined ? undefined : shareCell(estimate);

/** Exact match below the one over all questions, by a division of them. */
function partsOf<Part extends { summary: EvaluationSummary }>(
  of: (report: EvaluationReport) => readonly Part[] | undefined,
  nameOf: (part: Part) => string,
): RowMaker {
  return (columns) => {
    const names = [...new Set(columns.flatMap(({ report }) => (of(report) ?? []).map(nameOf)))].sort();
    return names.flatMap((name) =>
      rowOf(`  ${name}`, (report) => {
        const summary = of(report)?.find((part) => nameOf(part) === name)?.summary;
        if (summary === undefined) return undefined;
        const cell = shareCell(summary.exactMatch);
        return { ...cell, text: `${cell.text} n=${summary.n}` };
      })(columns),
    );
  };
}

const exactMatchRows: readonly RowMaker[] = [
  rowOf(metrics.exactMatch.label, ({ exactMatch }) => shareCell(exactMatch)),
  partsOf(
    ({ perHop }) => perHop,
    ({ hops }) => `${hops} ${hops === 1 ? "hop" : "hops"}`,
  ),
  partsOf(
    ({ perSource }) => perSource,
    ({ source }) => source,
  ),
  rowOf(metrics.squadMatch.label, ({ squadMatch }) => optionalShare(squadMatch)),
];

const searchRows: readonly RowMaker[] = [
  rowOf(metrics.searchesPerQuestion.label, ({ searchesPerQuestion }) => ({
    ...numbersOf(searchesPerQuestion),
    text: searchesPerQuestion.value.toFixed(2),
  })),
  rowOf("searches ÷ needed", ({ searchesToNeeded }) =>
    searchesToNeeded === null ? undefined : numberCell(searchesToNeeded),
  ),
  (columns) =>
    rowOf("searches that failed", ({ failedSearches }) => percentCell(failedSearches))(columns).filter(() =>
      columns.some(({ report }) => report.failedSearches > 0),
    ),
];

const questionRow = rowOf("questions", ({ n }) => ({ text: String(n), value: n }));

/** What the table of a run's tests shows: exact match over all questions and by their parts, by SQuAD's scorer too, searches, answers. */
const shortRows: readonly RowMaker[] = [
  ...exactMatchRows,
  rowOf(metrics.answered.label, ({ answered }) => shareCell(answered)),
  ...searchRows,
  questionRow,
];

function atKRows(prefix: string, of: (report: EvaluationReport) => readonly AtK[] | undefined): RowMaker {
  return (columns) => {
    const counts = [...new Set(columns.flatMap(({ report }) => (of(report) ?? []).map(({ k }) => k)))];
    return counts
      .sort((a, b) => a - b)
      .flatMap((k) =>
        rowOf(`${prefix}@${k}`, (report) => optionalShare(of(report)?.find((one) => one.k === k)?.value))(columns),
      );
  };
}

/** How attempts ended, the usual way first; ways in which none did are left out. */
const finishRows: RowMaker = (columns) => {
  const reasons = columns.flatMap(({ report }) => Object.entries(report.finish)).filter(([, share]) => share > 0);
  return [...new Set(reasons.map(([reason]) => reason))].flatMap((reason) =>
    rowOf(`  ended ${reason}`, ({ finish }) => percentCell(finish[reason as keyof typeof finish]))(columns),
  );
};

/** Everything that an evaluation measures, the scores side by side. */
const fullRows: readonly RowMaker[] = [
  ...exactMatchRows,
  rowOf(metrics.f1.label, ({ f1 }) => optionalShare(f1)),
  rowOf(metrics.coverMatch.label, ({ coverMatch }) => optionalShare(coverMatch)),
  rowOf(metrics.judge.label, ({ judge }) => optionalShare(judge)),
  rowOf(metrics.reward.label, ({ reward }) => shareCell(reward)),
  atKRows("pass", ({ passAt }) => passAt),
  atKRows("maj", ({ majAt }) => majAt),
  rowOf(metrics.answered.label, ({ answered }) => shareCell(answered)),
  finishRows,
  rowOf(metrics.answerInCorpus.label, ({ answerInCorpus }) => optionalShare(answerInCorpus)),
  rowOf(metrics.answerShown.label, ({ answerShown }) => optionalShare(answerShown)),
  ...searchRows,
  rowOf("tokens of the prompt", ({ tokens }) => tokens && numberCell(tokens.prompt, 0)),
  rowOf("tokens written", ({ tokens }) => tokens && numberCell(tokens.policy, 0)),
  rowOf("tokens retrieved", ({ tokens }) => tokens && numberCell(tokens.environment, 0)),
  rowOf("seconds", ({ seconds }) => numberCell(seconds, 1)),
  rowOf("US dollars", ({ costUsd }) => (costUsd === undefined ? undefined : numberCell(costUsd, 4))),
  rowOf("attempts per question", ({ attempts }) =>
    attempts === undefined ? undefined : { text: String(attempts), value: attempts },
  ),
  rowOf("questions left out", ({ skipped }) =>
    skipped === undefined ? undefined : { text: String(skipped.length), value: skipped.length },
  ),
  questionRow,
];

function percentCell(share: number): Cell {
  return { text: `${(100 * share).toFixed(0)} %`, value: share };
}

function tableOf(columns: readonly EvaluationColumn[], rows: readonly RowMaker[]): Table {
  return { header: ["", ...columns.map(({ name }) => name)], rows: rows.flatMap((make) => make(columns)) };
}

/** Evaluations side by side with everything that was measured: metrics are rows, evaluations are columns. */
export function evaluationsTable(columns: readonly EvaluationColumn[]): Table {
  return tableOf(columns, fullRows);
}

/** A run's tests side by side, for a terminal. */
export function evaluationTable(columns: readonly EvaluationColumn[]): string {
  return renderTable(tableOf(columns, shortRows), "terminal");
}

/** The same as a Markdown table. */
export function evaluationMarkdown(columns: readonly EvaluationColumn[]): string {
  return renderTable(tableOf(columns, shortRows), "markdown");
}
