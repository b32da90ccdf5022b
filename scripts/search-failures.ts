/**
 * @file The demo with searches that fail, and without: `npm run search-failures` writes docs/results/search-failures.md. Both arms have the
 * same seeds and settings and differ in the share of failing searches. Resumable: finished runs are kept in runs/search-failures.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { bootstrapMean, mean, wilson } from "../src/eval/intervals.js";
import { atlasDemo } from "../src/recipes/search-r1/recipe.js";
import type { SearchEngine } from "../src/search/engine.js";
import { FailingEngine } from "./failing-engine.js";
import { mergeConfig, parseConfig, type ConfigInput } from "../src/train/config/config.js";
import { evaluate } from "../src/train/evaluate.js";
import { readMetrics } from "../src/train/metrics-file.js";
import { openSearch } from "../src/train/open-search.js";
import { loadSplits } from "../src/train/questions.js";
import { readStarts } from "../src/train/run-folder.js";
import { train } from "../src/train/train.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, "docs", "results");
const runs = join(root, "runs", "search-failures");

/** A third of the failures hang: the deadline is what they cost, so it is a short one, in both arms. */
const deadlineMs = 500;
const points = 3;

interface Cell {
  /** Of the code that made it. */
  commit: string;
  seed: number;
  /** Of the searches of training, as the run's metrics have it. */
  failedShare: number;
  bestStep: number | null;
  seconds: number;
  /** Per held-out question, with searches that never fail: 1 for a right answer. */
  greedy_D: number[];
  sampled_D: number[];
  /** Greedy exact match while searches fail as often as in training. */
  underFailures: number | null;
}

function configOf(seed: number, folder: string): ConfigInput {
  return mergeConfig(atlasDemo, {
    train: { seed, saveTrajectories: 0 },
    search: { timeoutMs: deadlineMs },
    run: { folder, threads: 1 },
  });
}

async function runCell(name: string, share: number, seed: number): Promise<Cell> {
  const file = join(runs, `${name}-${seed}.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Cell;
  const folder = join(runs, `${name}-${seed}`);
  const input = configOf(seed, folder);
  const config = parseConfig(input);
  const opened = await openSearch(config);
  try {
    const search: SearchEngine = new FailingEngine(opened.value, { share, seed });
    const result = await train(input, {
      search,
      onEvent: (event) => {
        if (event.kind === "step" && event.step % 10 === 0)
          process.stderr.write(`${name}, seed ${seed}: step ${event.step} of ${event.steps}\n`);
      },
    });
    const { test } = await loadSplits(config);
    const best = mergeConfig(input, { model: { folder: join(folder, "best") } });
    const after = await evaluate(best, { search: opened.value, questions: test });
    const matches = ({ records }: typeof after.greedy): number[] => records.map(({ exactMatch }) => exactMatch);
    const { starts } = await readStarts(folder);
    const lines = (await readMetrics(folder)).filter(({ step }) => step > 0);
    const cell: Cell = {
      commit: starts[0]?.commit ?? "unknown",
      seed,
      failedShare: mean(lines.map((line) => line["searches/failed"] ?? 0)),
      bestStep: result.best?.step ?? null,
      seconds: result.seconds,
      greedy_D: matches(after.greedy),
      sampled_D: after.sampled === undefined ? [] : matches(after.sampled),
      underFailures: result.after?.greedy.exactMatch.value ?? null,
    };
    writeFileSync(file, `${JSON.stringify(cell)}\n`);
    return cell;
  } finally {
    await opened.close();
  }
}

const share = (value: number | null): string => (value === null ? "–" : value.toFixed(3));
const interval = (values_D: readonly number[]): string => {
  const { value, low, high } = wilson(values_D.filter((value) => value === 1).length, values_D.length);
  return `${share(value)} [${share(low)}, ${share(high)}]`;
};

/** Clean minus failing, question by question; the mean over seeds, with a bootstrap interval over questions. In points. */
function difference(clean: readonly Cell[], failing: readonly Cell[], of: "greedy_D" | "sampled_D") {
  const perQuestion = clean[0][of].map((_, d) =>
    mean(clean.map((cell, index) => 100 * (cell[of][d] - failing[index][of][d]))),
  );
  return bootstrapMean(perQuestion);
}

function row(arm: string, cell: Cell): string {
  const columns = [
    arm,
    String(cell.seed),
    `${(100 * cell.failedShare).toFixed(1)} %`,
    interval(cell.greedy_D),
    interval(cell.sampled_D),
    share(cell.underFailures),
    String(cell.bestStep ?? "–"),
    cell.seconds.toFixed(0),
  ];
  return `| ${columns.join(" | ")} |`;
}

function page(percent: string, clean: readonly Cell[], failing: readonly Cell[]): string {
  const seeds = clean.map(({ seed }) => seed);
  const commits = [...new Set([...clean, ...failing].map(({ commit }) => commit))];
  const [greedy, sampled] = [difference(clean, failing, "greedy_D"), difference(clean, failing, "sampled_D")];
  const inPoints = ({ value, low, high }: typeof greedy): string =>
    `${value.toFixed(2)} points [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  const verdict = Math.abs(greedy.value) <= points ? "within" : "**not within**";
  return `# Training while searches fail

Made by \`npm run search-failures -- --seeds ${seeds.join(",")}\` at commit ${commits.join(", ")}, one thread per run, beside other work. The demo (\`npm start\`), trained with a search engine that answers
every time, and with one that fails on ${percent} of its searches: a third of them with an error, a third by never answering (given up after ${deadlineMs} ms), a third with an answer that is no answer. No search
is tried again. A failed search becomes a marked observation, and the attempt goes on.

EM is exact match on ${clean[0].greedy_D.length} held-out questions, the same in all runs, with its 95 % Wilson interval; both arms are judged with searches that answer. The checkpoint is chosen on
validation questions, which in the failing arm were asked of the failing engine too.

- Greedy EM of the clean runs minus that of the failing ones, question by question, mean over ${seeds.length} seeds: **${inPoints(greedy)}**, ${verdict} ${points} points. The interval is a bootstrap over questions.
- At temperature 1: ${inPoints(sampled)}.

| searches | seed | failed in training | EM | EM, T = 1 | EM while searches fail as in training | best step | s |
|---|---|---|---|---|---|---|---|
${[...clean.map((cell) => row("answer", cell)), ...failing.map((cell) => row(`${percent} fail`, cell))].join("\n")}

The last EM column is what failing searches cost while questions are answered. A failed search counts among the four that a question has, so a question of three hops bears one failure.
`;
}

const program = new Command("search-failures")
  .description(
    "The demo with failing searches and without; writes docs/results/search-failures.md. Resumable: finished runs are kept in runs/search-failures.",
  )
  .option("--seeds <list>", "seeds, with commas", (text) => text.split(",").map(Number), [0, 1, 2])
  .option("--share <number>", "share of searches that fail", Number, 0.1)
  .action(async ({ seeds, share: failed }: { seeds: number[]; share: number }) => {
    mkdirSync(runs, { recursive: true });
    mkdirSync(output, { recursive: true });
    const [clean, failing]: [Cell[], Cell[]] = [[], []];
    for (const seed of seeds) {
      clean.push(await runCell("clean", 0, seed));
      failing.push(await runCell(`failing-${failed}`, failed, seed));
    }
    writeFileSync(join(output, "search-failures.md"), page(`${+(100 * failed).toFixed(1)} %`, clean, failing));
    process.stderr.write(`wrote ${join(output, "search-failures.md")}\n`);
  });
await program.parseAsync();
