/** @file `sleuth compare`: evaluations of the same questions side by side, the questions on which they differ first. */
import path from "node:path";
import { Option } from "commander";
import { UserError } from "../errors.js";
import {
  answerShownBySearch,
  compareEvaluations,
  questionName,
  type ComparedMetric,
  type ComparedPair,
  type ComparisonOfEvaluations,
  type Flip,
  type PairedDifference,
  type Side,
} from "../eval/compare.js";
import type { EvaluationRecord } from "../eval/evaluation.js";
import { isEvaluationFolder, readEvaluation, readRecords, readRecordsFile } from "../eval/folder.js";
import { metrics, type MetricName } from "../eval/metrics.js";
import {
  differenceCell,
  formatDifference,
  formatShare,
  numberCell,
  shareCell,
  textCell,
  type Cell,
  type Table,
  type TableFormat,
} from "../eval/table.js";
import { writeFileDurably } from "../files/durable.js";
import { jsonLine, oneLine } from "../printable.js";
import { renderTrace } from "../rollout/trace.js";
import { integer } from "./run-options.js";
import { addFormat, printTable } from "./table-format.js";
import { plural } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb } from "./verb.js";

interface Options {
  metric: MetricName;
  common?: boolean;
  show: number;
  traces: number;
  out?: string;
  format: TableFormat;
}

export const compareVerb: Verb = {
  name: "compare",
  summary: "compare evaluations question by question",
  description:
    "Compares evaluations of the same questions with the first one: which questions are gained and lost, with answers and searches, and the paired difference of every measure with its 95 % interval. An evaluation is a folder that sleuth eval --out has written, or a .jsonl file of attempts. docs/evaluation.md says how to read it.",
  examples: [
    ["sleuth compare eval/base eval/trained", "what training was worth"],
    ["sleuth compare eval/closed-book eval/search", "what is answered without a search, and what search adds"],
    ["sleuth compare eval/base eval/rag eval/trained --metric f1 --show 0", "the table alone, of three"],
    ["sleuth compare runs/mine/evaluations/{before,after}-greedy.jsonl --traces 2", "a run's own tests, with attempts"],
    ["sleuth compare eval/a eval/b --format latex > table.tex", "for a paper; also markdown, csv, json"],
  ],
  configure: (command) => {
    command
      .argument("<evaluations...>", "two or more; the first is what the others are compared with")
      .addOption(
        new Option("--metric <name>", "what gained and lost are about")
          .choices(Object.keys(metrics))
          .default("exactMatch"),
      )
      .option("--common", "where the questions differ, compare those that all have")
      .option("--show <number>", "show so many gained and so many lost questions", integer(0), 5)
      .option("--traces <number>", "show so many of them as whole attempts", integer(0), 0)
      .option("--out <file>", "write every gained and lost question here, one JSON object per line");
    addFormat(command);
  },
  async run(terminal, given, [paths]) {
    const { metric, common, show, traces, out, format } = given as unknown as Options;
    terminal.waiting("Reading the attempts");
    const sides = await readSides(paths as string[]);
    const comparison = compareEvaluations(sides, { metric, common });
    if (out !== undefined) await writeFileDurably(out, flipLines(comparison));
    const table = comparisonTable(comparison, format);
    if (format === "terminal") {
      for (const pair of comparison.pairs) printFlips(terminal, comparison, pair, { show, traces });
      printTable(terminal, table, format);
      printVerdicts(terminal, comparison);
    } else printTable(terminal, table, format);
    if (out !== undefined) terminal.note(`Every gained and lost question: ${out}`);
    return answerOf(comparison, show);
  },
};

/** Reads the evaluations; their names are the shortest ends of their paths that tell them apart. */
async function readSides(paths: readonly string[]): Promise<Side[]> {
  if (new Set(paths.map((each) => path.resolve(each))).size < paths.length)
    throw new UserError("The same evaluation is named twice. Name different ones.");
  const names = shortNames(paths);
  const sides: Side[] = [];
  for (const [index, each] of paths.entries()) sides.push({ name: names[index], ...(await readSide(each)) });
  return sides;
}

async function readSide(place: string): Promise<Omit<Side, "name">> {
  if (place.endsWith(".jsonl") && !isEvaluationFolder(place)) {
    const records = await readRecordsFile(place);
    if (records === null) throw new UserError(`There is no ${place}. sleuth eval --out writes one.`);
    return { records };
  }
  const { head, report } = await readEvaluation(place);
  return { records: await readRecords(place), head, isFinished: report !== null };
}

/** Without a file's ending where that tells them apart, too. */
function shortNames(paths: readonly string[]): string[] {
  const parts = paths.map((each) =>
    path
      .resolve(each)
      .replace(/\.jsonl$/, "")
      .split(path.sep),
  );
  const longest = Math.max(...parts.map(({ length }) => length));
  for (let depth = 1; depth <= longest; depth++) {
    const names = parts.map((each) => each.slice(-depth).join("/"));
    if (new Set(names).size === names.length) return names;
  }
  return [...paths];
}

/**
 * Measures with a row of every side under each, so that names may be long and any number of sides fits a terminal. Formats that place no row below
 * another get rows that stand for themselves.
 */
function comparisonTable(comparison: ComparisonOfEvaluations, format: TableFormat): Table {
  const { names, n, metric, metrics: measured, groups, pairs, notes } = comparison;
  const isFlat = format !== "terminal" && format !== "latex";
  const rowsOf = (title: string, compared: ComparedMetric): Cell[][] => {
    const sides = names.map((name, index) => [
      ...(isFlat ? [textCell(title), textCell(name)] : [textCell(`  ${name}`)]),
      shareCell(compared.values[index]),
      ...(index === 0 ? emptyCells(4) : differenceCells(compared.differences[index - 1])),
    ]);
    const heading = compared.n === n ? title : `${title} (n=${compared.n})`;
    return isFlat ? sides : [[textCell(heading), ...emptyCells(5)], ...sides];
  };
  const rows = measured.flatMap((compared) => rowsOf(metrics[compared.metric].label, compared));
  const groupTitle = (group: string): string => (isFlat ? `${metrics[metric].label}, ${group}` : group);
  return {
    header: [...(isFlat ? ["measure", "evaluation"] : [""]), "value", `minus ${names[0]}`, ...flipHeader],
    rows: [...rows, ...groups.flatMap((one) => rowsOf(groupTitle(one.group), one))],
    rules: groups.length > 0 ? [rows.length] : [],
    notes: [
      `${plural(n, "question")}, each compared with itself. Intervals: 95 %, of differences by the paired bootstrap. p: the sign test of gained and lost.`,
      ...pairs.flatMap((pair) => splitNote(names[0], pair) ?? []),
      ...notes,
    ],
  };
}

const flipHeader = ["gained", "lost", "p"];

function emptyCells(count: number): Cell[] {
  return Array.from({ length: count }, () => textCell(""));
}

function differenceCells(difference: PairedDifference): Cell[] {
  const { gained, lost, signTest } = difference;
  return [
    differenceCell(difference),
    numberCell(gained, 0),
    numberCell(lost, 0),
    signTest === undefined ? textCell("") : { text: probability(signTest), value: signTest },
  ];
}

function probability(p: number): string {
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

function splitNote(first: string, { name, split }: ComparedPair): string | undefined {
  if (split === undefined || split.answered.n === 0) return undefined;
  const { answered, others } = split;
  return `Of the ${plural(answered.n, "question")} that ${first} has right, ${name} has ${formatShare(answered)}; of the other ${others.n}, ${formatShare(others)}.`;
}

function printVerdicts(
  terminal: Terminal,
  { names, metric, metrics: measured, settings }: ComparisonOfEvaluations,
): void {
  const { bold, dim } = terminal.colors;
  const compared = measured.find((one) => one.metric === metric) as ComparedMetric;
  for (const [index, difference] of compared.differences.entries()) {
    const { low, high } = difference;
    const says = low <= 0 && high >= 0 ? ": the interval holds 0, so no difference is shown" : "";
    terminal.print(`${bold(names[index + 1])}  ${metrics[metric].label} ${formatDifference(difference)}${says}`);
  }
  if (settings.length === 0) return;
  terminal.print(dim("What else differs"));
  for (const { name, values } of settings)
    terminal.print(dim(`  ${name}: ${values.map((value) => short(shown(value), 60)).join(" | ")}`));
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === "") return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function printFlips(
  terminal: Terminal,
  { names: [first], n, metric }: ComparisonOfEvaluations,
  { name, flips }: ComparedPair,
  { show, traces }: { show: number; traces: number },
): void {
  if (show === 0 && traces === 0) return;
  const { bold, dim, green, red } = terminal.colors;
  const [gained, lost] = [true, false].map((isGained) => flips.filter((flip) => flip.isGained === isGained));
  const counts = `${gained.length} gained, ${lost.length} lost of ${plural(n, "question")}`;
  terminal.print(bold(`${name} against ${first}, by ${metrics[metric].label}: ${counts}`));
  for (const flip of [...gained.slice(0, show), ...lost.slice(0, show)]) {
    const { question, isGained } = flip;
    terminal.print(
      `  ${isGained ? green("gained") : red("lost")}  ${short(question.question, 160)}  ${dim(oneLine(questionName(question)))}`,
    );
    terminal.print(`    expected  ${short(question.answers.join(" | "), 160)}`);
    for (const [side, sideName] of [first, name].entries()) terminal.print(`    ${attemptLine(sideName, flip, side)}`);
  }
  for (const { question, attempts } of [...gained.slice(0, traces), ...lost.slice(0, traces)]) {
    for (const [side, sideName] of [first, name].entries()) {
      terminal.print(bold(`${sideName}: ${short(question.question, 160)}`));
      terminal.print(renderTrace(attempts[side], { colors: terminal.colors.isColorSupported }));
    }
  }
  terminal.print();
}

/** What one side answered, and what it searched: a tick stands behind a search that showed a right answer. */
function attemptLine(name: string, { scores, attempts }: Flip, side: number): string {
  const { trajectory } = attempts[side];
  const { answer, searches, finishReason } = trajectory;
  const isShown = answerShownBySearch(attempts[side]);
  const asked = searches.map(({ query }, index) => `"${short(query, 60)}"${isShown[index] ? " ✓" : ""}`);
  const mean = Number.isInteger(scores[side]) ? "" : ` (mean ${scores[side].toFixed(2)})`;
  const said = answer === null ? `none (${finishReason})` : short(answer, 120);
  return [`${name}  ${said}${mean}`, ...(asked.length === 0 ? ["no search"] : asked)].join(" · ");
}

function short(text: string, most: number): string {
  const line = oneLine(text).replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most)}…` : line;
}

/** Every gained and lost question of every pair. */
function flipLines({ names: [first], metric, pairs }: ComparisonOfEvaluations): string {
  return pairs
    .flatMap(({ name, flips }) => flips.map((flip) => jsonLine({ metric, ...toldFlip(first, name, flip) })))
    .join("");
}

/** A flip for programs: who answered what, and with which searches. */
function toldFlip(first: string, name: string, { question, isGained, scores, attempts }: Flip): object {
  const side = (sideName: string, index: number): object => ({
    ...{ name: sideName, score: scores[index] },
    ...toldAttempt(attempts[index]),
  });
  return { ...question, change: isGained ? "gained" : "lost", sides: [side(first, 0), side(name, 1)] };
}

function toldAttempt(record: EvaluationRecord): object {
  const { question, trajectory, ...scores } = record;
  void question;
  const { answer, finishReason, searches } = trajectory;
  const isShown = answerShownBySearch(record);
  const told = searches.map(({ query, passages, error }, index) => ({
    ...{ query, passages: passages.map(({ id }) => id), answerShown: isShown[index] },
    ...(error === undefined ? {} : { error }),
  }));
  return { answer, finishReason, ...scores, searches: told };
}

function answerOf({ pairs, names, ...rest }: ComparisonOfEvaluations, show: number): Record<string, unknown> {
  const told = (name: string, flips: readonly Flip[], isGained: boolean): object[] =>
    flips
      .filter((flip) => flip.isGained === isGained)
      .slice(0, show)
      .map((flip) => toldFlip(names[0], name, flip));
  return {
    names,
    ...rest,
    pairs: pairs.map(({ name, flips, split }) => ({
      ...{ name, split },
      gained: told(name, flips, true),
      lost: told(name, flips, false),
    })),
  };
}
