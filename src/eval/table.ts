/** @file Evaluations side by side, as text that reads in a terminal and as Markdown. */
import type { EvaluationReport, EvaluationSummary } from "./evaluation.js";
import type { Estimate } from "./intervals.js";

/** A column of the table. */
interface TableColumn {
  /** For example `before, greedy`. */
  name: string;
  report: EvaluationReport;
}

/** Rows of cells, the first one the header: exact match over all questions and per hop, by SQuAD's scorer too, searches, answers. */
function evaluationRows(columns: readonly TableColumn[]): string[][] {
  const hops = [...new Set(columns.flatMap(({ report }) => report.perHop.map((entry) => entry.hops)))].sort();
  const row = (name: string, cell: (report: EvaluationReport) => string): string[] => [
    name,
    ...columns.map(({ report }) => cell(report)),
  ];
  const ofHop = (report: EvaluationReport, value: number): EvaluationSummary | undefined =>
    report.perHop.find((entry) => entry.hops === value)?.summary;
  return [
    ["", ...columns.map((column) => column.name)],
    row("exact match", (report) => formatShare(report.exactMatch)),
    ...hops.map((value) =>
      row(`  ${value} ${value === 1 ? "hop" : "hops"}`, (report) => {
        const summary = ofHop(report, value);
        return summary === undefined ? "–" : `${formatShare(summary.exactMatch)} n=${summary.n}`;
      }),
    ),
    ...(columns.some(({ report }) => report.squadMatch !== undefined)
      ? [row("em/squad", ({ squadMatch }) => (squadMatch === undefined ? "–" : formatShare(squadMatch)))]
      : []),
    row("answered", (report) => formatShare(report.answered)),
    row("searches per question", (report) => report.searchesPerQuestion.value.toFixed(2)),
    ...(columns.some(({ report }) => report.searchesToNeeded !== null)
      ? [row("searches ÷ needed", (report) => report.searchesToNeeded?.toFixed(2) ?? "–")]
      : []),
    ...(columns.some(({ report }) => report.failedSearches > 0)
      ? [row("searches that failed", (report) => `${(100 * report.failedSearches).toFixed(0)} %`)]
      : []),
    row("questions", (report) => String(report.n)),
  ];
}

/** A table with aligned columns. */
export function evaluationTable(columns: readonly TableColumn[]): string {
  const rows = evaluationRows(columns);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  return (
    [line(rows[0]), widths.map((width) => "─".repeat(width)).join("──"), ...rows.slice(1).map(line)].join("\n") + "\n"
  );
}

/** The same as a Markdown table. */
export function evaluationMarkdown(columns: readonly TableColumn[]): string {
  const [header, ...rows] = evaluationRows(columns);
  const line = (row: readonly string[]): string => `| ${row.map((cell) => cell.trim()).join(" | ")} |`;
  return [line(header), `|${" --- |".repeat(header.length)}`, ...rows.map(line)].join("\n") + "\n";
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
