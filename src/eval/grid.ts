/** @file Evaluations of several models, sets and methods as one table, with published numbers below them. */
import { methods, type MethodName } from "../rollout/methods/named.js";
import type { EvaluationReport } from "./evaluation.js";
import type { SavedEvaluation } from "./folder.js";
import { mean, type Estimate } from "./intervals.js";
import { metrics, type MetricName } from "./metrics.js";
import { published, publishedSets, publishedSources, whyNotComparable } from "./published.js";
import type { Comparable, PublishedRow, PublishedSet } from "./published.js";
import { numberCell, shareCell, textCell, type Cell, type Table } from "./table.js";

/** One evaluation of the grid; null where it is not there, without a report where it has not ended. */
export interface GridCell {
  model: string;
  set: string;
  method: MethodName;
  saved: SavedEvaluation | null;
}

interface GridOptions {
  metric: MetricName;
  /** Which published rows stand below: those of a set and a method of the grid whose model or source has this in its name; null for none. */
  published: string | null;
}

/**
 * Models and methods as rows, sets as columns, with an average where there are several. Below stand for each set how often an answer was in the corpus, and
 * published numbers for those that have any.
 */
export function gridTable(cells: readonly GridCell[], { metric, published: named }: GridOptions): Table {
  const sets = distinct(cells.map(({ set }) => set));
  const models = distinct(cells.map(({ model }) => model));
  const own = ownRows(cells, sets, models, metric);
  const corpus = inCorpus(cells, sets);
  const others = named === null ? [] : publishedRows(cells, sets, named);
  const marked = others.length > 0;
  const pad = (row: Cell[]): Cell[] => (marked ? [...row, textCell("")] : row);
  const rows = [...own, ...corpus].map(pad);
  return {
    title: `${metrics[metric].label}, 95 % intervals over questions`,
    header: [
      models.length > 1 ? "model, method" : `${models[0]}, method`,
      ...sets.map((set) => columnTitle(cells, set)),
      ...(sets.length > 1 ? ["average"] : []),
      ...(marked ? ["≈"] : []),
    ],
    rows: [...rows, ...others.map(({ cells: row }) => row)],
    rules: marked ? [rows.length] : [],
    notes: [...missing(cells), ...(marked ? publishedNotes(others, metric) : [])],
  };
}

function ownRows(cells: readonly GridCell[], sets: readonly string[], models: readonly string[], metric: MetricName) {
  return models.flatMap((model) =>
    distinct(cells.filter((cell) => cell.model === model).map(({ method }) => method)).map((method) => {
      const estimates = sets.map((set) => estimateOf(reportOf(cells, { model, set, method }), metric));
      const label = models.length > 1 ? `${model}, ${methods[method].title}` : methods[method].title;
      return [textCell(label), ...estimates.map(shareCell), ...averageCell(estimates)];
    }),
  );
}

/** The mean of the columns, as the papers have it; its interval takes the sets as independent. Nothing where there is one set. */
function averageCell(estimates: readonly (Estimate | undefined)[]): Cell[] {
  if (estimates.length < 2) return [];
  const known = estimates.filter((estimate) => estimate !== undefined);
  if (known.length < estimates.length) return [textCell("–")];
  const value = mean(known.map((estimate) => estimate.value));
  const reach = (of: (estimate: Estimate) => number): number =>
    Math.hypot(...known.map((estimate) => of(estimate))) / known.length;
  return [
    shareCell({
      value,
      low: value - reach((one) => one.value - one.low),
      high: value + reach((one) => one.high - one.value),
    }),
  ];
}

/** The share of questions whose answer stands in any passage of the index: nothing can do much better by searching. */
function inCorpus(cells: readonly GridCell[], sets: readonly string[]): Cell[][] {
  const estimates = sets.map((of) => {
    const reports = cells.flatMap(({ set, saved }) => (set === of && saved?.report ? [saved.report] : []));
    return reports.map(({ answerInCorpus }) => answerInCorpus).find((estimate) => estimate !== undefined);
  });
  if (estimates.every((estimate) => estimate === undefined)) return [];
  const label = "an answer stands in the passages";
  return [[textCell(label), ...estimates.map(shareCell), ...(sets.length > 1 ? [textCell("")] : [])]];
}

function reportOf(
  cells: readonly GridCell[],
  { model, set, method }: Omit<GridCell, "saved">,
): EvaluationReport | null | undefined {
  return cells.find((cell) => cell.model === model && cell.set === set && cell.method === method)?.saved?.report;
}

function estimateOf(report: EvaluationReport | null | undefined, metric: MetricName): Estimate | undefined {
  return report?.[metric];
}

/** With the number of questions, which is the same in every row. */
function columnTitle(cells: readonly GridCell[], set: string): string {
  const title = isPublished(set) ? publishedSets[set].title : set;
  const n = cells.find((cell) => cell.set === set && cell.saved !== null)?.saved?.head.questions.n;
  return n === undefined ? title : `${title} (n=${n})`;
}

function missing(cells: readonly GridCell[]): string[] {
  const open = cells.filter(({ saved }) => saved?.report == null).length;
  return open === 0
    ? []
    : [`${open} of ${cells.length} evaluations have not ended; the same command goes on with them.`];
}

interface BesideRow {
  cells: Cell[];
  row: PublishedRow;
  /** Why none of the grid's evaluations of the same method is comparable with it; empty where one is. */
  reasons: readonly string[];
}

/** The published rows that fit the grid, marked where one of its evaluations is comparable with them. */
function publishedRows(cells: readonly GridCell[], sets: readonly string[], named: string): BesideRow[] {
  const used = new Set(cells.map(({ method }) => method));
  const places = sets.map((set) => (isPublished(set) ? Object.keys(publishedSets).indexOf(set) : -1));
  if (places.every((place) => place < 0)) return [];
  return published
    .filter((row) => row.as !== undefined && used.has(row.as) && isNamed(row, named))
    .filter(({ values }) => places.some((place) => place >= 0 && values[place] !== null))
    .map((row) => {
      const values = places.map((place) => (place < 0 ? null : row.values[place]));
      const isWhole = sets.length === row.values.length && values.every((value) => value !== null);
      const average = sets.length < 2 ? [] : [numberCell(isWhole ? row.average : null, 3)];
      const reasons = closest(cells, row);
      const cellsOfRow = [
        textCell(labelOf(row)),
        ...values.map((value) => numberCell(value, 3)),
        ...average,
        textCell(reasons.length === 0 ? "≈" : "≠"),
      ];
      return { cells: cellsOfRow, row, reasons };
    });
}

function isNamed({ model, source }: PublishedRow, named: string): boolean {
  const text = `${model} ${publishedSources[source].name}`.toLowerCase();
  return text.includes(named.toLowerCase());
}

function labelOf({ model, method, training, source, remark }: PublishedRow): string {
  const trained = training === undefined ? "" : `, ${training}`;
  const remarks = remark === undefined ? "" : `; ${remark}`;
  return `${model}, ${method}${trained} (${publishedSources[source].name}, ${publishedSources[source].place}${remarks})`;
}

/** The fewest reasons against a comparison among the finished evaluations of the published sets. */
function closest(cells: readonly GridCell[], row: PublishedRow): readonly string[] {
  const all = cells
    .filter(({ set, saved }) => isPublished(set) && saved?.report)
    .map((cell) => whyNotComparable(comparableOf(cell), row))
    .sort((a, b) => a.length - b.length);
  return all.length === 0 ? ["no evaluation of it has ended"] : all[0];
}

function comparableOf({ set, method, saved }: GridCell): Comparable {
  const { head } = saved as SavedEvaluation;
  const topK = Number(head.settings.search?.topK ?? 0);
  return { model: head.model, method, set, questions: head.questions.n, engine: head.engine, topK };
}

function publishedNotes(rows: readonly BesideRow[], metric: MetricName): string[] {
  const reasons = distinct(rows.flatMap((row) => row.reasons));
  const remarks = distinct(rows.flatMap(({ row }) => sourceRemarks(row)));
  return [
    "Published rows below the line: exact match with SQuAD's normalisation on whole sets, over Wikipedia of 2018 by E5, 3 passages a search.",
    ...(metric === "squadMatch" ? [] : ["They are comparable with em/squad alone: --metric squadMatch."]),
    ...(rows.some((row) => row.reasons.length === 0)
      ? ["≈: an evaluation above may stand beside it, if its passages are those of the paper, which only you know."]
      : []),
    ...(reasons.length === 0
      ? []
      : [`≠: not comparable. The nearest evaluations above differ by: ${reasons.join("; ")}.`]),
    ...remarks,
  ];
}

function sourceRemarks({ source }: PublishedRow): string[] {
  const known: { name: string; remarks?: string } = publishedSources[source];
  return known.remarks === undefined ? [] : [`${known.name}: ${known.remarks}`];
}

function isPublished(set: string): set is PublishedSet {
  return set in publishedSets;
}

function distinct<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}
