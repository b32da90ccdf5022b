/**
 * @file `npm run experiments`: runs the grid of cells.ts and writes docs/results/search-r1-toy.md with its pictures. Resumable: finished
 * cells are kept in runs/experiments, and a run that was stopped goes on from its last checkpoint.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { duration } from "../../src/cli/terminal/format.js";
import type { VariantName } from "./cells.js";
import { allCells, type Cell, type Job } from "./jobs.js";
import { loadOutcome, type Outcome } from "./outcome.js";
import { renderPage, type Outcomes } from "./page.js";
import { interruption, runJobs } from "./run-jobs.js";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const results = join("docs", "results");
const pageName = "search-r1-toy";

interface Options {
  jobs: number;
  only?: RegExp;
  list?: boolean;
  page?: boolean;
  sleuth: string;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** What a cell must have before it, each once. */
function preparations(cells: readonly Cell[]): Job[] {
  return [
    ...new Set(cells.filter((cell) => !cell.isDone()).flatMap(({ after }) => (after === undefined ? [] : [after]))),
  ];
}

function list(cells: readonly Cell[]): void {
  for (const job of [...preparations(cells), ...cells]) {
    const state = job.isDone() ? `done     ${job.summary()}` : `to do    about ${job.cost} CPU seconds`;
    process.stdout.write(`${job.label.padEnd(16)} ${state}\n`);
  }
  const left = [...preparations(cells), ...cells].filter((job) => !job.isDone());
  const seconds = left.reduce((sum, { cost }) => sum + cost, 0);
  process.stdout.write(`${left.length} to do, about ${duration(seconds * 1000)} of CPU time.\n`);
}

function writePage(cells: readonly Cell[]): void {
  const outcomes = new Map<VariantName, Outcome[]>();
  for (const { variant, file } of cells) {
    const outcome = loadOutcome(file);
    const name = variant.name as VariantName;
    if (outcome !== undefined) outcomes.set(name, [...(outcomes.get(name) ?? []), outcome]);
  }
  const page = renderPage(outcomes satisfies Outcomes, {
    cells: cells.length,
    command: "npm run experiments",
    pictures: pageName,
  });
  mkdirSync(join(results, pageName), { recursive: true });
  for (const { file, svg } of page.pictures) writeFileSync(join(results, pageName, file), svg);
  writeFileSync(join(results, `${pageName}.md`), page.text);
  say(`wrote ${join(results, `${pageName}.md`)}`);
}

/** @returns the status to exit with */
async function run({ jobs, only, list: listOnly, page: pageOnly, sleuth }: Options): Promise<number> {
  process.chdir(root);
  const cells = allCells();
  const chosen = only === undefined ? cells : cells.filter(({ label }) => only.test(label));
  if (listOnly) list(chosen);
  if (listOnly) return 0;
  if (!pageOnly) {
    const options = { jobs, sleuth, root, say, signal: interruption(say) };
    const first = await runJobs(preparations(chosen), options);
    const unready = new Set(first.failed);
    const ready = chosen.filter(({ after }) => after === undefined || !unready.has(after));
    const second = first.interrupted ? first : await runJobs(ready, options);
    if (second.interrupted) return 130;
    const failed = [...new Set([...first.failed, ...second.failed])];
    if (failed.length > 0) {
      say(`Failed: ${failed.map(({ label }) => label).join(", ")}. The same command tries them again.`);
      writePage(cells);
      return 1;
    }
  }
  writePage(cells);
  return 0;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Expected a whole number of at least 1.");
  return value;
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new InvalidArgumentError("Expected a regular expression, for example ^ppo or warm.*-0$.");
  }
}

await new Command("experiments")
  .description(
    "Runs what the papers compare on the built-in world, with five seeds each, and writes docs/results/search-r1-toy.md. Finished runs are kept in runs/experiments and not made again.",
  )
  .option("--jobs <number>", "runs side by side, each with one thread", positive, 2)
  .option("--only <pattern>", "only cells whose label (as grpo-0) matches this regular expression", pattern)
  .option("--list", "show the cells and what is left to do, and run nothing")
  .option("--page", "write the page from what has been run, and run nothing")
  .option(
    "--sleuth <file>",
    "the command line to run, for example that of another checkout",
    join(root, "bin", "sleuth.js"),
  )
  .action(async (options: Options) => {
    process.exitCode = await run(options);
  })
  .parseAsync();
