/** @file docs/results/real-questions.md, from what the stages left. Every number is computed; nothing is filled in by hand. */
import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EvaluationRecord } from "../../src/eval/evaluation.js";
import { readEvaluation, readRecords } from "../../src/eval/folder.js";
import { bootstrapMean, mean, wilson } from "../../src/eval/intervals.js";
import { evaluationsTable, formatDifference, formatShare, renderTable } from "../../src/eval/table.js";
import { ours } from "../../src/rewards/answers.js";
import { pairAttempts, type AttemptPair } from "../../src/train/report/gain.js";
import { readMetrics } from "../../src/train/metrics-file.js";
import { readResult, type TrainResult } from "../../src/train/result.js";
import { readRunConfig, readStarts } from "../../src/train/run-folder.js";
import type { SftResult } from "../../src/train/sft/sft.js";
import { chosenTranscripts, metricHeading, metricRows, minutes, number, stepsPerRow, transcript } from "../run-page.js";
import type { StageRecord } from "../stages.js";
import { runName, testFolder, testsIn, type Size } from "./stages.js";
import { wrongKinds } from "./wrong-kinds.js";

interface PageOptions {
  folder: string;
  records: Readonly<Record<string, StageRecord>>;
  size: Size;
  command: string;
}

/** What the issue of this run aimed at, on all test questions. */
const goals = { exactMatch: 0.3, coverMatch: 0.38 };

/** Writes the page and, beside it, the curve of the first seed. */
export async function writePage(page: string, options: PageOptions): Promise<void> {
  writeFileSync(page, await renderPage(options));
  const curve = join(options.folder, runName(options.size.seeds[0]), "curve.svg");
  if (existsSync(curve)) copyFileSync(curve, page.replace(/\.md$/, ".svg"));
}

/** @throws Error where a stage has not ended */
async function renderPage({ folder, records, size, command }: PageOptions): Promise<string> {
  const all = await Promise.all(
    testsIn(folder, size).map(async (test) => {
      const { report } = await readEvaluation(testFolder(folder, test));
      if (report === null) throw new Error(`internal: the test ${test.name} has not ended`);
      return { ...test, report, attempts: await readRecords(testFolder(folder, test)) };
    }),
  );
  const [tests, harder] = [false, true].map((isHard) => all.filter((test) => test.isHard === isHard));
  const of = (name: string) => tests.find((test) => test.name === name) as (typeof tests)[number];
  const warm = of("warm");
  const trained = size.seeds.map((seed) => of(runName(seed)));
  const pairs = trained.map(({ attempts }) => pairAttempts(warm.attempts, attempts));
  const commits = [...new Set(Object.values(records).map(({ commit }) => commit))].join(", ");
  const { starts } = await readStarts(join(folder, runName(size.seeds[0])));
  const [{ cpu, cores }] = starts;
  return `# Questions that people asked

SmolLM2-135M-Instruct learns to answer questions of Natural Questions and TriviaQA over 10,033 leads of English Wikipedia ([docs/data.md](../data.md#the-laptop-set)), with BM25 and an adapter of rank ${(await readRunConfig(join(folder, "warm"))).model.loraRank}, on ${cores} cores
(${cpu}). A script that is told the right answers writes transcripts of the training questions, a warm-up learns them, and reinforcement goes on from the final answer alone. The checkpoint is chosen on ${size.validation} training questions that neither
has seen; every policy is tested once, greedily, on all test questions, the controls on ${size.controls} of them. The questions were chosen so that BM25 finds an answer in its first three passages with the question itself: the set tests asking, reading and answering, and its numbers stand beside no published ones.

Made by \`${command}\` at ${commits}; the command lines stand at the end.

${verdicts(warm, trained, pairs)}

${renderTable(evaluationsTable(tests.map(({ title, report }) => ({ name: title, report }))), "markdown")}
- **RAG, warm start**: the same warm start is shown the passages of a search with the question itself, and answers.
- **No search**: the reinforced model's answer is begun for it at once. **Random engine**: its searches find passages drawn by chance. **Oracle passages**: every search finds passages that hold a right answer.

${await learned(folder, records, size)}

## Harder questions

${harder[0].attempts.length} more questions of the same test splits, whose answer stands in none of the first three passages that BM25 finds with the question itself: they need another query.

${renderTable(evaluationsTable(harder.map(({ title, report }) => ({ name: title, report }))), "markdown")}

## Asking

${tests.filter(({ name }) => ["untrained", "warm", "rag", ...size.seeds.map(runName)].includes(name)).map((test) => askingRow(test)).join("\n")}

With the question itself as the query: ${worth(records.worth)}.

## Wrong answers

Of all attempts; each wrong one is of the first kind that fits.

| ${["", ...tests.map(({ title }) => title)].join(" | ")} |
|${" --- |".repeat(tests.length + 1)}
${wrongRows(tests)}

## Steps

Means of ${stepsPerRow} steps, as in [the run over the built-in world](smollm2.md#steps).

${(await Promise.all(size.seeds.map((seed) => stepsOf(folder, seed)))).join("\n\n")}

![Learning curve of the first seed](real-questions.svg)

## Ten transcripts

From the tests after training, greedy, five of each seed${size.seeds.length > 1 ? "" : " (of one)"}.

${pairs.flatMap((ofSeed) => chosenTranscripts(ofSeed)).map(transcript).join("\n")}
## Commands

| stage | took | command |
| --- | --- | --- |
${Object.entries(records).map(stageRow).join("\n")}
| together | ${minutes(Object.values(records).reduce((sum, { seconds }) => sum + seconds, 0))} | |
`; // prettier-ignore
}

interface Tested {
  title: string;
  report: { exactMatch: { value: number; low: number; high: number }; coverMatch?: { value: number } };
  attempts: readonly EvaluationRecord[];
}

/** The goal and the gain, in sentences. */
function verdicts(warm: Tested, trained: readonly Tested[], pairs: readonly AttemptPair[][]): string {
  const best = trained.map(({ title, report }) => {
    const cover = report.coverMatch?.value ?? 0;
    const isReached = report.exactMatch.value >= goals.exactMatch && cover >= goals.coverMatch;
    return `${title}: exact match ${formatShare(report.exactMatch)}, cover match ${number(cover, 3)} (aim: ${goals.exactMatch} and ${goals.coverMatch}; ${isReached ? "reached" : "missed"})`;
  });
  const differences = new Map<string, number[]>();
  for (const { before, after } of pairs.flat()) {
    const key = before.trajectory.questionId;
    differences.set(key, [...(differences.get(key) ?? []), after.exactMatch - before.exactMatch]);
  }
  const gain = bootstrapMean([...differences.values()].map(mean), { samples: 10_000 });
  const won = pairs.flat().filter(({ before, after }) => after.exactMatch > before.exactMatch).length;
  const lost = pairs.flat().filter(({ before, after }) => after.exactMatch < before.exactMatch).length;
  return `- ${best.join("\n- ")}
- **Reinforcement over the warm start: ${formatDifference(gain)}** exact match (paired bootstrap over ${differences.size} questions with their seeds together, 10,000 samples; ${won} won, ${lost} lost; warm start ${number(warm.report.exactMatch.value, 3)}). ${gain.low > 0 ? "The interval lies above 0." : "The interval does not lie above 0."}`;
}

async function learned(folder: string, records: PageOptions["records"], { seeds }: Size): Promise<string> {
  const sft = records.warm.answer as unknown as SftResult;
  const { attempts, questions, outcomes, kept } = records.collect.answer as unknown as {
    attempts: number;
    questions: number;
    outcomes: Record<string, number>;
    kept: number;
  };
  const counts = Object.entries(outcomes).map(([outcome, times]) => `${times} ${outcome}`);
  const runs = await Promise.all(
    seeds.map(async (seed) => {
      const result = await readResult<TrainResult>(join(folder, runName(seed)));
      const { train, algorithm, run } = await readRunConfig(join(folder, runName(seed)));
      if (result === null) throw new Error(`internal: ${runName(seed)} has not ended`);
      return `Seed ${seed}: ${result.steps} steps of ${train.questionsPerStep} questions × ${algorithm.groupSize} attempts in ${minutes(result.seconds)} over ${run.precision} weights, the checkpoint of step ${result.best?.step ?? result.steps} was chosen, peak memory ${result.peakMemoryMb} MB.`;
    }),
  );
  return `The script made ${attempts} attempts at ${questions} questions: ${counts.join(", ")}; ${kept} transcripts were kept. The warm-up took ${sft.steps} steps on ${sft.transcripts.training} of them (${minutes(sft.seconds)}); its loss on ${sft.transcripts.validation} others fell from ${number(sft.validation.before, 3)} to ${number(sft.validation.best, 3)} nats per token. ${runs.join(" ")}`;
}

/** What a policy's first query finds. */
function askingRow({ title, attempts }: Tested): string {
  const ranks = attempts.map(({ question, trajectory }) => {
    const holds = ours.holdsAnswer(question.answers);
    return trajectory.searches.at(0)?.passages.findIndex((passage) => holds(passage)) ?? -1;
  });
  const within = (k: number) => wilson(ranks.filter((rank) => rank >= 0 && rank < k).length, ranks.length);
  return `- ${title}: the first search's passages hold an answer: first one ${formatShare(within(1))}, any of those shown ${formatShare(within(Infinity))}.`;
}

/** What search finds with the questions as they are, by the verb's own numbers. */
function worth({ answer }: StageRecord): string {
  const { engines } = answer as unknown as {
    engines: { hits: Record<string, { value: number; low: number; high: number }> }[];
  };
  return Object.entries(engines[0].hits)
    .map(([k, estimate]) => `hit@${k} ${formatShare(estimate)}`)
    .join(", ");
}

function wrongRows(tests: readonly Tested[]): string {
  const counted = tests.map(({ attempts }) => {
    const counts = Object.entries(wrongKinds(attempts));
    return Object.fromEntries(
      counts.map(([kind, count]) => [kind, `${((100 * count) / attempts.length).toFixed(1)} %`]),
    );
  });
  return Object.keys(counted[0])
    .map((kind) => `| ${[kind, ...counted.map((shares) => shares[kind])].join(" | ")} |`)
    .join("\n");
}

async function stepsOf(folder: string, seed: number): Promise<string> {
  const metrics = await readMetrics(join(folder, runName(seed)));
  return `Seed ${seed}:\n\n${metricHeading}\n${metricRows(metrics).join("\n")}`;
}

function stageRow([name, { words, seconds, starts }]: [string, StageRecord]): string {
  return `| ${name}${starts > 1 ? ` (${starts} starts)` : ""} | ${minutes(seconds)} | \`sleuth ${words.join(" ")}\` |`;
}
