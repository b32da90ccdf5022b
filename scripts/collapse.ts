/**
 * @file A run that is made to collapse, with the collapse watch and without it: `npm run collapse` writes docs/results/collapse.md and collapse.svg.
 * The same seed and the same settings but `watch.action`, so both arms are the same run until the watch acts. Resumable: finished runs are kept
 * in runs/collapse.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { atlasDemo } from "../src/recipes/search-r1/recipe.js";
import { mergeConfig, type ConfigInput } from "../src/train/config/config.js";
import { readMetrics } from "../src/train/metrics-file.js";
import type { MetricLine } from "../src/train/metrics.js";
import { curveSvg } from "../src/train/report/plot.js";
import type { TrainResult } from "../src/train/result.js";
import { readStarts } from "../src/train/run-folder.js";
import { train } from "../src/train/train.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, "docs", "results");

/**
 * The demo on questions of one hop, with a learning rate that rises to nine times the demo's, and without clipping: it learns everything on the
 * way up, and falls apart after.
 */
const collapsing: ConfigInput = mergeConfig(atlasDemo, {
  data: { maxHops: 1 },
  optimizer: { learningRate: 4.5e-3, warmupSteps: 45, maxGradNorm: 0, schedule: "constant" },
  train: { steps: 60, evalEvery: 1, evalSize: 60, testSize: 0, saveTrajectories: 0 },
  run: { threads: 1 },
});

const arms = ["without", "watched"] as const;
type Arm = (typeof arms)[number];

interface Cell {
  /** Of the code that made it. */
  commit: string;
  result: TrainResult;
  lines: MetricLine[];
}

async function runCell(arm: Arm, seed: number): Promise<Cell> {
  const folder = join(root, "runs", "collapse", `${arm}-${seed}`);
  process.stderr.write(`${arm}, seed ${seed} …\n`);
  const watch: ConfigInput["watch"] = arm === "without" ? { action: "warn" } : { action: "rollback" };
  const result = await train(mergeConfig(collapsing, { train: { seed }, watch, run: { folder } }), {
    onEvent: (event) => {
      if (event.kind === "watch") for (const message of event.messages) process.stderr.write(`  ${message}\n`);
    },
  });
  const { starts } = await readStarts(folder);
  return { commit: starts[0]?.commit ?? "unknown", result, lines: await readMetrics(folder) };
}

/** Validation exact match, greedy and at temperature 1 averaged: what chooses the best checkpoint. */
function score(line: MetricLine): number {
  return ((line["em/validation"] ?? 0) + (line["em/validation/sampled"] ?? 0)) / 2;
}

/** How far each step lies below the best one before it. */
function falls(lines: readonly MetricLine[]): { step: number; fall: number }[] {
  let best = 0;
  return lines.map((line) => {
    best = Math.max(best, score(line));
    return { step: line.step, fall: best - score(line) };
  });
}

const share = (value: number | undefined): string => (value === undefined ? "–" : value.toFixed(2));

function row(seed: number, without: Cell, watched: Cell): string {
  const lostAt = falls(without.lines).find(({ fall }) => fall >= 0.1)?.step;
  const worst = Math.max(...falls(without.lines).map(({ fall }) => fall));
  const rollbacks = watched.result.watch?.rollbacks ?? [];
  const first = rollbacks[0];
  const fallAtFirst = falls(watched.lines).find(({ step }) => step === first?.step)?.fall;
  const [endWithout, endWatched] = [without.lines.at(-1), watched.lines.at(-1)];
  const columns = [
    String(seed),
    String(lostAt ?? "never"),
    share(worst),
    endWithout === undefined ? "–" : share(score(endWithout)),
    share(endWithout?.["format/wellFormed"]),
    first === undefined ? "never" : String(first.step),
    share(fallAtFirst),
    share(Math.max(...falls(watched.lines).map(({ fall }) => fall))),
    rollbacks.map(({ step, to }) => `${step} → ${to}`).join(", ") || "none",
    endWatched === undefined ? "–" : share(score(endWatched)),
    share(endWatched?.["format/wellFormed"]),
    watched.result.status,
  ];
  return `| ${columns.join(" | ")} |`;
}

function page(seeds: readonly number[], cells: ReadonlyMap<string, Cell>): string {
  const cell = (arm: Arm, seed: number): Cell => cells.get(`${arm}-${seed}`) as Cell;
  const rows = seeds.map((seed) => row(seed, cell("without", seed), cell("watched", seed)));
  const causes = seeds.flatMap((seed) =>
    (cell("watched", seed).result.watch?.rollbacks ?? []).map(
      ({ step, to, cause }) => `- Seed ${seed}, step ${step}, back to ${to}: ${cause}.`,
    ),
  );
  const commits = [...new Set([...cells.values()].map((each) => each.commit))];
  const seconds = [...cells.values()].map(({ result }) => result.seconds);
  return `# Runs that are made to collapse

Made by \`npm run collapse -- --seeds ${seeds.join(",")}\` at commit ${commits.join(", ")}, one thread. The demo's model on questions of one hop, with a learning rate that warms up over 45 steps to nine times the
demo's (4.5e-3), and no clipping of gradients; validated after every step (60 questions, greedy and at temperature 1, averaged: "EM" below). Both arms have the same seed and differ in \`watch.action\` alone
(\`warn\` and \`rollback\`): they are the same run, bit for bit, until the watch acts.

![Without the watch and with it, seed ${seeds[0]}](collapse.svg)

| seed | without: EM lost 10 points at step | worst fall | EM in the end | well formed | watched: first roll-back | EM lost by then | worst fall | roll-backs | EM in the end | well formed | ended |
|---|---|---|---|---|---|---|---|---|---|---|---|
${rows.join("\n")}

What the watch said:

${causes.join("\n")}

${Math.round(Math.min(...seconds))} to ${Math.round(Math.max(...seconds))} s of training per run, beside other work. "EM lost" is the distance to the best validation of the run before it. Which signs mean what, and what to change: \`docs/collapse.md\`.
`;
}

/** Two pictures, one above the other. */
function stacked(pictures: readonly string[]): string {
  let top = 0;
  const inner = pictures.map((svg) => {
    const height = Number(/ height="(\d+)"/.exec(svg)?.[1]);
    const placed = svg.replace("<svg ", `<svg y="${top}" `);
    top += height;
    return placed;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 ${top}" width="720" height="${top}">\n${inner.join("")}</svg>\n`;
}

const program = new Command("collapse")
  .description("A run that is made to collapse, with the collapse watch and without; writes docs/results/collapse.md.")
  .option("--seeds <list>", "seeds, with commas", (text) => text.split(",").map(Number), [0, 1, 2])
  .action(async ({ seeds }: { seeds: number[] }) => {
    mkdirSync(output, { recursive: true });
    const cells = new Map<string, Cell>();
    for (const seed of seeds) for (const arm of arms) cells.set(`${arm}-${seed}`, await runCell(arm, seed));
    writeFileSync(join(output, "collapse.md"), page(seeds, cells));
    const linesOf = (arm: Arm): MetricLine[] => cells.get(`${arm}-${seeds[0]}`)?.lines ?? [];
    const pictures = [
      curveSvg(linesOf("without"), { title: "Nine times the learning rate, no clipping" }),
      curveSvg(linesOf("watched"), { title: "The same under the collapse watch" }),
    ];
    writeFileSync(join(output, "collapse.svg"), stacked(pictures));
    process.stderr.write(`wrote ${join(output, "collapse.md")}\n`);
  });
await program.parseAsync();
