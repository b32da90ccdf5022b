/**
 * @file Runs the demo and its controls over several seeds and writes docs/results/demo.md and the demo's learning curve beside it.
 * Each cell is one run of `sleuth demo --json` in a folder of its own; a finished cell is not run again and an interrupted one goes
 * on where it stopped. `npm run results -- --jobs 2` gives each of two runs at a time one thread.
 */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { mapConcurrent } from "../src/async.js";
import { wilson } from "../src/eval/intervals.js";
import { UserError } from "../src/errors.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, "docs", "results");
const cells = join(root, "runs", "results");

interface Variant {
  name: string;
  title: string;
  flags: string[];
  seeds: number[];
}

const variants: readonly Variant[] = [
  { name: "demo", title: "**GRPO with search** (the demo)", flags: [], seeds: [0, 1, 2, 3] },
  { name: "no-search", title: "no search, same training", flags: ["--no-search"], seeds: [0, 1, 2] },
  { name: "random", title: "random retriever", flags: ["--random-retriever"], seeds: [0, 1, 2] },
  { name: "no-mask", title: "no retrieved-token mask", flags: ["--no-mask"], seeds: [0, 1, 2] },
];

/** What `sleuth demo --json` answers, as far as it is used here. */
interface Answer {
  /** Of the code that made it. */
  commit: string;
  emBefore: number;
  emAfter: number;
  n: number;
  seconds: number;
  trainSeconds: number;
  peakRssMb: number;
  runDir: string;
  t1Before: number;
  t1After: number;
  byHops: Record<string, { before: number; after: number }>;
  searchesPerQuestion: { before: number; after: number };
  searchesToNeeded: number;
  steps: number;
  bestStep: number;
}

interface Cell {
  variant: Variant;
  seed: number;
  folder: string;
}

const all: Cell[] = variants.flatMap((variant) =>
  variant.seeds.map((seed) => ({ variant, seed, folder: join(cells, `${variant.name}-${seed}`) })),
);

function head(): string {
  return spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout.trim();
}

/** Runs one cell, or reads the answer of an earlier run. */
async function answerOf(cell: Cell, jobs: number): Promise<Answer> {
  const file = `${cell.folder}.json`;
  if (!existsSync(file)) {
    const threads = jobs > 1 ? ["--set", "run.threads=1"] : [];
    const words = [
      "demo",
      "--json",
      "--seed",
      String(cell.seed),
      "--run",
      cell.folder,
      ...cell.variant.flags,
      ...threads,
    ];
    process.stderr.write(`${cell.variant.name}, seed ${cell.seed} …\n`);
    const text = await capture(process.execPath, [join(root, "bin", "sleuth.js"), ...words]);
    const answer = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "") as Omit<Answer, "commit">;
    writeFileSync(file, `${JSON.stringify({ commit: head(), ...answer })}\n`);
  }
  return JSON.parse(readFileSync(file, "utf8")) as Answer;
}

function capture(command: string, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
    let text = "";
    child.stdout.on("data", (part: Buffer) => (text += part.toString()));
    child.on("error", reject);
    child.on("exit", (code) => {
      if (code === 0) resolve(text);
      else
        reject(
          new UserError(`sleuth ${words.slice(1).join(" ")} ended with code ${code}. Run it by itself to see why.`),
        );
    });
  });
}

const share = (value: number): string => value.toFixed(3);
const interval = (value: number, n: number): string => {
  const { low, high } = wilson(Math.round(value * n), n);
  return `${share(value)} [${share(low)}, ${share(high)}]`;
};
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function seedRow(cell: Cell, answer: Answer): string {
  const { n, byHops, searchesPerQuestion } = answer;
  const hops = ["1", "2", "3"].map((hop) => (byHops[hop] ? share(byHops[hop].after) : "–"));
  const columns = [
    cell.variant.title,
    String(cell.seed),
    interval(answer.emBefore, n),
    interval(answer.emAfter, n),
    ...hops,
    `${share(answer.t1Before)} → ${interval(answer.t1After, n)}`,
    searchesPerQuestion.after.toFixed(2),
    answer.searchesToNeeded.toFixed(2),
    String(answer.bestStep),
    answer.trainSeconds.toFixed(0),
  ];
  return `| ${columns.join(" | ")} |`;
}

function pooledRow(variant: Variant, answers: readonly Answer[]): string {
  const n = answers.reduce((sum, answer) => sum + answer.n, 0);
  const pooled = (value: (answer: Answer) => number): string => interval(mean(answers.map(value)), n);
  return `| ${variant.title} | ${answers.length} | ${pooled((a) => a.emBefore)} | ${pooled((a) => a.emAfter)} | ${pooled((a) => a.t1Before)} | ${pooled((a) => a.t1After)} | ${mean(answers.map((a) => a.searchesPerQuestion.after)).toFixed(2)} |`;
}

function page(answers: ReadonlyMap<Cell, Answer>, jobs: number): string {
  const [first] = answers.values();
  const pooled = variants.map((variant) =>
    pooledRow(
      variant,
      [...answers].filter(([cell]) => cell.variant === variant).map(([, answer]) => answer),
    ),
  );
  return `# The demo and its controls

Made by \`npm run results -- --jobs ${jobs}\` at commit ${[...new Set([...answers.values()].map(({ commit }) => commit))].join(", ")}; ${first.n} held-out test questions, a third each of 1, 2 and 3 hops, about countries
that neither the base model nor training has seen. EM is exact match (of this world SQuAD's scorer says the same) with its 95 % Wilson interval. Greedy unless it says
T = 1 (sampled from the model's own distribution). The checkpoint is chosen on validation countries, never on the test questions.

![Learning curve of seed 0](curve.svg)

## All seeds together

| run | seeds | EM before | EM after | T = 1 before | T = 1 after | searches per question |
|---|---|---|---|---|---|---|
${pooled.join("\n")}

How to read it:

- All runs judge the same questions, so the pooled intervals, which count every run's questions as new ones, are narrower than they should be.
- **What reinforcement learning adds.** The base reads, copies and words single queries nearly perfectly, and guesses (\`docs/atlas.md\`). Its greedy move is always a guess, so greedy EM jumps as soon as searching is the likelier
  move; T = 1 is the honest curve. What no training text shows, and every run finds, is a second and a third search.
- **No search and random passages** never see a reward: the answers cannot be guessed, and there is nothing to follow.
- **Without the mask** the loss also fits the passages. Here that is a mild handicap: lower and less even, not a collapse. A missing mask would therefore not show in learning alone; unit tests catch it.
- The test questions were looked at while the text of stage 0 was chosen (\`docs/atlas.md\`), never by a run. Names and facts of the test countries are in no training text.

## Each run

"Hop" columns are greedy EM after training by the searches that a question needs; "÷ needed" is searches made over searches needed; "step" is the
checkpoint that validation chose; seconds are of the training steps, ${jobs > 1 ? `${jobs} runs side by side with one thread each` : "alone on the machine"}.

| run | seed | EM before | EM after | 1 hop | 2 hops | 3 hops | T = 1 EM | searches | ÷ needed | step | s |
|---|---|---|---|---|---|---|---|---|---|---|---|
${[...answers].map(([cell, answer]) => seedRow(cell, answer)).join("\n")}
`;
}

/** Runs what is missing, \`jobs\` at a time. */
async function collectAnswers(jobs: number): Promise<Map<Cell, Answer>> {
  const answers = await mapConcurrent(all, jobs, (cell) => answerOf(cell, jobs));
  return new Map(all.map((cell, index) => [cell, answers[index]]));
}

const program = new Command("results")
  .description(
    "The demo and its controls over several seeds; writes docs/results/demo.md. Resumable: finished runs are kept in runs/results.",
  )
  .option("--jobs <number>", "runs side by side; with more than one, each has one thread", Number, 1)
  .action(async ({ jobs }: { jobs: number }) => {
    mkdirSync(cells, { recursive: true });
    mkdirSync(output, { recursive: true });
    const answers = await collectAnswers(jobs);
    writeFileSync(join(output, "demo.md"), page(answers, jobs));
    copyFileSync(join(all[0].folder, "curve.svg"), join(output, "curve.svg"));
    process.stderr.write(`wrote ${join(output, "demo.md")}\n`);
  });
await program.parseAsync();
