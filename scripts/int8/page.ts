/** @file docs/results/int8.md, from what the runs left. Every number is computed; nothing is filled in by hand. */
import { bootstrapMean, mean, type Estimate } from "../../src/eval/intervals.js";
import { evaluationMarkdown, formatDifference } from "../../src/eval/table.js";
import { median } from "../../src/train/watch/series.js";
import { pairAttempts, pairedGain, type AttemptPair } from "../../src/train/report/gain.js";
import type { MetricName } from "../../src/train/metrics.js";
import { number, signed } from "../run-page.js";
import type { Precision, Series, SeriesRun, Tested } from "./series.js";

/** What 8-bit weights may cost of exact match: the lower end of the difference's interval is compared with it. */
export const margin = -0.05;

/** A difference in exact match over questions and seeds. */
export interface Difference extends Estimate {
  /** Pairs: a question with a seed. */
  n: number;
  won: number;
  lost: number;
  /** The same with the pairs of a question drawn together: runs of two seeds answer the same questions. */
  byQuestion: Estimate;
}

/** @param sides per seed the two tests, of which the second is compared with the first: same question, same seed */
export function differenceOf(sides: readonly (readonly [Tested, Tested])[]): Difference {
  const pairs = sides.flatMap(([first, second]) => pairAttempts(first.attempts, second.attempts));
  const byQuestion = new Map<string, number[]>();
  for (const pair of pairs) {
    const { questionId } = pair.before.trajectory;
    byQuestion.set(questionId, [...(byQuestion.get(questionId) ?? []), differenceIn(pair)]);
  }
  return {
    ...pairedGain(pairs),
    won: pairs.filter((pair) => differenceIn(pair) > 0).length,
    lost: pairs.filter((pair) => differenceIn(pair) < 0).length,
    byQuestion: bootstrapMean([...byQuestion.values()].map(mean), { samples: 10_000 }),
  };
}

const differenceIn = ({ before, after }: AttemptPair): number => after.exactMatch - before.exactMatch;

/** @param command that made the runs and the page */
export function renderPage(series: Series, command: string): string {
  const { warmUp, runs } = series;
  const inInt8 = runs.filter(({ precision }) => precision === "int8");
  const partners = inInt8.flatMap((run) => {
    const partner = runs.find(({ precision, seed }) => precision === "float32" && seed === run.seed);
    return partner === undefined ? [] : [[partner.own, run.own] as const];
  });
  const moved = inInt8.flatMap(({ own, overFloat }) => (overFloat === undefined ? [] : [[own, overFloat] as const]));
  const difference = differenceOf(partners);
  const change = differenceOf(moved);
  return `# 8-bit frozen weights against float32

Does reinforcement learn as well over frozen weights in 8 bits (\`run.precision=int8\`) as over float32 ones? SmolLM2-135M-Instruct with the recipe
[\`smollm2\`](../../src/recipes/search-r1/smollm2.ts): one supervised warm-up over float32, shared by all; from its model ${runs.length} runs of GRPO, ${series.questionsPerStep} questions × ${series.groupSize} attempts a step, of which a seed
sets the order of questions and the sampling. The model of the last step is tested, greedily, on ${runs[0].own.report.n} questions about held-out countries; no checkpoint is chosen.

Made by \`${command}\` at commit ${series.commits.join(", ")}, on ${series.processors.join("; ")}. The command lines stand at the end.

**EM(int8) − EM(float32): ${formatDifference(difference)}** (95 % interval of the paired bootstrap, 10,000 samples, over ${difference.n} pairs of the same question and the same seed: ${difference.won} won, ${difference.lost} lost).
${verdictOn(difference)} With the seeds of a question drawn together the interval is [${signed(difference.byQuestion.low)}, ${signed(difference.byQuestion.high)}].

${evaluationMarkdown([
  { name: "after the warm-up, float32", report: warmUp.tested.report },
  ...runs.map((run) => ({ name: titleOf(run), report: run.own.report })),
])}
Each run is tested over the frozen weights that it was trained over; brackets are 95 % intervals. The warm-up (${warmUp.result.steps} steps on ${warmUp.result.transcripts.training} transcripts) had float32 weights under its adapter, so the 8-bit
runs begin with a model that is a little another one than what they go on from. Their weights are fitted to prompts of their own (\`docs/engine.md\`).

## Seconds and memory

Medians of a run's steps: other work on the machine moves them little. ${speedSentence(runs)} The sampler gap is the mean distance of the trainer's log-probabilities from those recorded while sampling, in nats.

| run | steps | rollout s | training s | step s | peak memory MB | sampler gap |
| --- | --- | --- | --- | --- | --- | --- |
${runs.map(costRow).join("\n")}

## The 8-bit runs' adapters over float32

What \`sleuth export\` merges into the float32 weights was trained over 8-bit ones. Over float32 against over 8 bits, the same adapters: **${formatDifference(change)}** exact match (paired as above, ${change.n} pairs: ${change.won} won, ${change.lost} lost).

${evaluationMarkdown(
  inInt8.flatMap(({ seed, own, overFloat }) => [
    { name: `seed ${seed} over int8`, report: own.report },
    ...(overFloat === undefined ? [] : [{ name: `seed ${seed} over float32`, report: overFloat.report }]),
  ]),
)}
## Reward per step

Mean reward of a step's attempts, at temperature 1.

| step | ${runs.map(titleOf).join(" | ")} |
| --- |${" --- |".repeat(runs.length)}
${rewardRows(runs).join("\n")}

## Commands

${commandsOf(series)
  .map((words) => `    npx sleuth ${words.join(" ")}`)
  .join("\n")}
`;
}

const titleOf = ({ precision, seed }: SeriesRun): string => `${precision}, seed ${seed}`;

function verdictOn({ low, won, lost }: Difference): string {
  if (won + lost === 0) return "No pair differs, so that the bootstrap has no interval to judge by.";
  const limit = `−${Math.abs(margin).toFixed(2)}`;
  return low >= margin
    ? `The interval's lower end is at least ${limit}: a loss of more than ${Math.abs(100 * margin)} points is ruled out.`
    : `The interval's lower end is below ${limit}: a loss of more than ${Math.abs(100 * margin)} points is not ruled out.`;
}

const valuesOf = ({ lines }: SeriesRun, name: MetricName): number[] => lines.flatMap((line) => line[name] ?? []);

function costRow(run: SeriesRun): string {
  const times = (["time/rollout", "time/train", "time/step"] as const).map((name) =>
    number(median(valuesOf(run, name)), 1),
  );
  const peak = Math.max(run.result.peakMemoryMb, ...run.lines.map((line) => line["memory/peak"] ?? 0));
  // Absent where no step had anything to learn from.
  const gaps = valuesOf(run, "policy/samplerGap");
  return `| ${[titleOf(run), run.lines.length, ...times, peak, gaps.length === 0 ? "–" : mean(gaps).toPrecision(2)].join(" | ")} |`;
}

/** How many times as fast a step is, by parts. */
function speedSentence(runs: readonly SeriesRun[]): string {
  const seconds = (precision: Precision, name: MetricName): number =>
    median(runs.filter((run) => run.precision === precision).flatMap((run) => valuesOf(run, name)));
  const ratio = (name: MetricName): string => number(seconds("float32", name) / seconds("int8", name));
  return `A step took ${number(seconds("float32", "time/step"), 1)} s over float32 and ${number(seconds("int8", "time/step"), 1)} s over 8 bits: ${ratio("time/step")} times as fast, rollout ${ratio("time/rollout")}, training ${ratio("time/train")}.`;
}

function rewardRows(runs: readonly SeriesRun[]): string[] {
  const steps = [...new Set(runs.flatMap(({ lines }) => lines.map(({ step }) => step)))].sort((a, b) => a - b);
  const rows = steps.map((step) => [
    `${step}`,
    ...runs.map(({ lines }) => number(lines.find((line) => line.step === step)?.["reward/mean"], 3)),
  ]);
  const means = ["mean", ...runs.map((run) => number(mean(valuesOf(run, "reward/mean")), 3))];
  return [...rows, means].map((cells) => `| ${cells.join(" | ")} |`);
}

function commandsOf({ warmUp, runs }: Series): (readonly string[])[] {
  const tests = runs.flatMap(({ own, overFloat }) => (overFloat === undefined ? [own] : [own, overFloat]));
  return [warmUp, ...runs, warmUp.tested, ...tests].map(({ words }) => words);
}
