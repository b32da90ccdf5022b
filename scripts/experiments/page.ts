/** @file docs/results/search-r1-toy.md, from the outcomes on file. Numbers and verdicts are computed; nothing is filled in by hand. */
import { mean, wilson } from "../../src/eval/intervals.js";
import { shared, variants, variantOf, type Variant, type VariantName } from "./cells.js";
import { curvesSvg } from "./curves.js";
import { curvesOf, hasCollapsed, measures, type Measure, type Outcome } from "./outcome.js";
import { overSeeds, pairedDifference, type SeedEstimate } from "./statistics.js";
import { margin, tables, type Claim, type Row, type Table } from "./tables.js";
import { judge, verdictWords, type Verdict } from "./verdict.js";

/** The outcomes of each variant, in the order of its seeds; none where it has not been run. */
export type Outcomes = ReadonlyMap<VariantName, readonly Outcome[]>;

/** Files of the page: the text, and one picture per table, named from its folder. */
export interface Page {
  text: string;
  pictures: { file: string; svg: string }[];
}

export interface PageOptions {
  /** Cells of the whole grid. */
  cells: number;
  /** The command that made it. */
  command: string;
  /** Folder of the pictures, from the page. */
  pictures: string;
}

/** Writes the page; cells that are missing leave dashes, and findings that need them are not judged. */
export function renderPage(outcomes: Outcomes, { cells, command, pictures }: PageOptions): Page {
  const all = [...outcomes.values()].flat();
  const drawn = tables.filter((table) => table.rows.some(({ variant }) => of(outcomes, variant).length > 0));
  const text = [
    "# The papers' findings, asked of the built-in world",
    intro(all, cells, command),
    "## In short",
    summary(outcomes),
    ...tables.map((table) => section(table, outcomes, drawn.includes(table) ? `${pictures}/${table.name}.svg` : null)),
    "## Every run",
    everyRun(outcomes),
    "## Settings",
    settings(),
  ].join("\n\n");
  return {
    text: `${text}\n`,
    pictures: drawn.map((table) => ({ file: `${table.name}.svg`, svg: picture(table, outcomes) })),
  };
}

function intro(all: readonly Outcome[], cells: number, command: string): string {
  const commits = [...new Set(all.flatMap((outcome) => outcome.commits))].sort();
  const missing = all.length < cells ? ` **${cells - all.length} of the ${cells} runs have not been made yet.**` : "";
  const n = all[0]?.after.n ?? 0;
  const hours = all.reduce((sum, { wallSeconds }) => sum + wallSeconds, 0) / 3600;
  return `Made by \`${command}\` from ${all.length} runs of \`sleuth train\`, at commit ${commits.join(", ") || "–"}.${missing} The runs took ${hours.toFixed(1)} hours of one
thread each, with other runs beside them. Model, world and test are those of the demo (\`docs/atlas.md\`); ${n} test questions about countries that neither the base nor training has
seen, a third each of one, two and three searches. Training is shorter and slower than the demo's (${valueOf("train.steps")} steps of 120 attempts, learning rate ${valueOf("optimizer.learningRate")}, no KL under any name), so that differences show before everything is learned.

How to read it:

- **EM at T = 1** is the measure: exact match of answers sampled from the model's own distribution, of the checkpoint that validation chose. Greedy EM stands beside it and says
  little: it jumps from 0 to 1 as soon as searching is the likeliest move.
- **Brackets are 95 % intervals over seeds** (Student's t). Every run answers the same test questions, so more runs do not make more questions: intervals of pooled answers would be too narrow for comparisons. They are in the list of
  every run, for the level of a single number.
- **Differences are paired**: each seed with itself, since a seed is an order of questions and the test's own draws.
- **Learning** is the mean of validation EM at T = 1 over the course of training: what is learned early counts more.
- **Searches** are per test question at T = 1, **step** is the kept checkpoint's, **s** the seconds of the training steps; all three are means over seeds.
- **Collapsed** counts runs whose last validation EM at T = 1 was less than half of their best.
- A finding **holds** or **does not hold** only where the whole interval says so. For findings that two things are about equal, a difference below ${margin} EM counts as none. Of twenty differences that are nothing but chance, one would look
  real all the same.
- This is a model of 0.9 M parameters in a small world. What does not hold here may well hold there.
- The reasons behind the verdicts are readings of the results. They were not tested by runs of their own.`;
}

/** Of a setting that all cells share. */
function valueOf(key: string): string {
  return shared.find((setting) => setting.startsWith(`${key}=`))?.slice(key.length + 1) ?? "";
}

function summary(outcomes: Outcomes): string {
  const rows = tables.flatMap(({ claims }) =>
    claims.map((claim) => {
      const { verdict, difference } = examine(claim, outcomes);
      return `| ${claim.text} | ${claim.source} | ${verdictMark(verdict)} | ${signedInterval(difference)} |`;
    }),
  );
  return ["| finding | where | here | difference |", "|---|---|---|---|", ...rows].join("\n");
}

function section(table: Table, outcomes: Outcomes, pictureFile: string | null): string {
  const parts = [
    `## ${table.question}`,
    ["**The papers.**", ...table.papers.map((line) => `- ${line}`)].join("\n"),
    tableOf(table, outcomes),
    ...(pictureFile === null ? [] : [`![${pictureTitle(table)}](${pictureFile})`]),
    ["**Here.**", ...table.claims.map((claim) => sentence(claim, outcomes))].join("\n"),
    ...(table.note === undefined ? [] : [table.note]),
  ];
  return parts.join("\n\n");
}

function tableOf(table: Table, outcomes: Outcomes): string {
  const reference = variantOf(table.reference).title;
  return [
    `| run | seeds | EM at T = 1 | difference from _${reference}_ | learning | greedy EM | searches | step | s | collapsed |`,
    "|---|---|---|---|---|---|---|---|---|---|",
    ...table.rows.map((row) => rowOf(row, table, outcomes)),
  ].join("\n");
}

function rowOf(row: Row, table: Table, outcomes: Outcomes): string {
  const runs = of(outcomes, row.variant);
  if (row.untrained !== undefined) {
    const sampled = overSeeds(runs.map(({ before }) => before.sampled));
    const greedy = overSeeds(runs.map(({ before }) => before.greedy));
    const searches = runs.map(({ before }) => before.sampledSearches);
    return `| ${row.untrained.title} | ${runs.length} | ${interval(sampled)} | | | ${interval(greedy)} | ${decimals(mean(searches), runs)} | | | |`;
  }
  const { title } = variantOf(row.variant);
  const against = row.against ?? table.reference;
  const isReference = against === row.variant;
  const difference = isReference ? "" : signedInterval(differenceOf("sampled", row.variant, against, outcomes));
  const from = row.against === undefined ? "" : ` (from _${variantOf(against).title}_)`;
  const average = (value: (outcome: Outcome) => number, digits: number): string =>
    decimals(mean(runs.map(value)), runs, digits);
  const columns = [
    isReference ? `**${title}**` : title,
    String(runs.length),
    interval(overSeeds(runs.map(measures.sampled.of))),
    difference === "" ? "" : `${difference}${from}`,
    average(measures.area.of, 3),
    interval(overSeeds(runs.map(measures.greedy.of))),
    average(measures.searches.of, 2),
    average(({ bestStep }) => bestStep, 0),
    average(({ seconds }) => seconds, 0),
    runs.length === 0 ? "–" : `${runs.filter(hasCollapsed).length}`,
  ];
  return `| ${columns.join(" | ")} |`;
}

/** A finding, what was measured, what follows and why that may be. */
function sentence(claim: Claim, outcomes: Outcomes): string {
  const { verdict, difference } = examine(claim, outcomes);
  const sides = [claim.left, ...(claim.right === undefined ? [] : [claim.right])].map((name) => {
    const { value } = overSeeds(of(outcomes, name).map(measures[claim.measure].of));
    return `${variantOf(name).title} ${value.toFixed(3)}`;
  });
  const measured =
    verdict === "not run"
      ? ""
      : ` ${sides.join(", ")}: difference ${signedInterval(difference)} in ${measures[claim.measure].title}, ${difference.n} seeds.`;
  const why = claim.why?.[verdict];
  return `- _${claim.text}_ (${claim.source}) ${verdictMark(verdict)}.${measured}${why === undefined ? "" : ` ${why}`}`;
}

function examine(claim: Claim, outcomes: Outcomes): { verdict: Verdict; difference: SeedEstimate } {
  const { measure, left, right } = claim;
  const difference =
    right === undefined
      ? overSeeds(of(outcomes, left).map(measures[measure].of))
      : differenceOf(measure, left, right, outcomes);
  return { verdict: judge(claim.expect, difference, { margin }), difference };
}

function differenceOf(measure: Measure, left: VariantName, right: VariantName, outcomes: Outcomes): SeedEstimate {
  const bySeed = (name: VariantName): Map<number, number> =>
    new Map(of(outcomes, name).map((outcome) => [outcome.seed, measures[measure].of(outcome)]));
  return pairedDifference(bySeed(left), bySeed(right));
}

function everyRun(outcomes: Outcomes): string {
  const rows = (variants as readonly Variant[]).flatMap(({ name, title }) =>
    of(outcomes, name as VariantName).map((outcome) => {
      const { after, before, seed, bestStep, seconds } = outcome;
      const columns = [
        title,
        String(seed),
        `${before.sampled.toFixed(3)} → ${ofQuestions(after.sampled, after.n)}`,
        after.sampledByHops.map((value) => value.toFixed(2)).join(" · "),
        `${before.greedy.toFixed(3)} → ${ofQuestions(after.greedy, after.n)}`,
        `${after.sampledSearches.toFixed(2)}`,
        String(bestStep),
        seconds.toFixed(0),
        hasCollapsed(outcome) ? "yes" : "",
      ];
      return `| ${columns.join(" | ")} |`;
    }),
  );
  return [
    "EM before and after training with Wilson's 95 % interval over the test questions; hops are EM at T = 1 by the searches that a question needs; searches are per question at T = 1; seconds are of the training steps.",
    "",
    "| run | seed | EM at T = 1 | 1 · 2 · 3 hops | greedy EM | searches | step | s | collapsed |",
    "|---|---|---|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function settings(): string {
  const rows = (variants as readonly Variant[]).map(({ title, settings: own, warmUp }) => {
    const changes = [...own, ...(warmUp === undefined ? [] : [`model.folder from \`sleuth sft\``])];
    return `| ${title} | ${changes.map((setting) => (setting.includes("`") ? setting : `\`${setting}\``)).join(" ") || "–"} |`;
  });
  const warmUp = (variants as readonly Variant[]).find((variant) => variant.warmUp !== undefined)?.warmUp;
  return [
    "Each cell is `sleuth train --seed N` with these settings, and those of its row:",
    `\`\`\`\n${wrap(shared)}\n\`\`\``,
    ["| run | its own settings |", "|---|---|", ...rows].join("\n"),
    ...(warmUp === undefined
      ? []
      : [
          "A warm start is `sleuth sft --seed N` with these, and with as many passages per search as the training that follows shows:",
          `\`\`\`\n${wrap(warmUp.settings)}\n\`\`\``,
        ]),
  ].join("\n\n");
}

function picture(table: Table, outcomes: Outcomes): string {
  const names = table.rows.filter((row) => row.untrained === undefined).map(({ variant }) => variant);
  const curves = names.flatMap((name) => {
    const runs = of(outcomes, name);
    return runs.length === 0 ? [] : [{ title: variantOf(name).title, values: curvesOf(runs) }];
  });
  return curvesSvg(pictureTitle(table), curves);
}

function pictureTitle({ question }: Table): string {
  return `${question} Validation EM at T = 1 over steps`;
}

function of(outcomes: Outcomes, name: VariantName): readonly Outcome[] {
  return outcomes.get(name) ?? [];
}

function verdictMark(verdict: Verdict): string {
  return verdict === "not run" ? verdictWords[verdict] : `**${verdictWords[verdict]}**`;
}

/** A mean in [0, 1] with its interval, which does not leave it. */
function interval({ value, low, high, n }: SeedEstimate): string {
  if (n === 0) return "–";
  if (n === 1) return value.toFixed(3);
  return `${value.toFixed(3)} [${Math.max(0, low).toFixed(3)}, ${Math.min(1, high).toFixed(3)}]`;
}

function ofQuestions(share: number, n: number): string {
  const { low, high } = wilson(Math.round(share * n), n);
  return `${share.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
}

function signedInterval({ value, low, high, n }: SeedEstimate): string {
  if (n === 0) return "–";
  return n === 1 ? signed(value) : `${signed(value)} [${signed(low)}, ${signed(high)}]`;
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

function decimals(value: number, runs: readonly Outcome[], digits = 2): string {
  return runs.length === 0 ? "–" : value.toFixed(digits);
}

/** Settings in lines of at most 120 characters. */
function wrap(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 120) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}
