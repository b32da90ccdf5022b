/**
 * @file Writes docs/results/smollm2.md from the run of a real language model: its supervised warm-up (runs/smollm2-sft2) and its
 * reinforcement (runs/smollm2). Trains nothing; the commands that did stand on the page. `npm run results:smollm2`.
 */
import { copyFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { evaluationMarkdown } from "../src/eval/table.js";
import { UserError } from "../src/errors.js";
import { attemptPairs, pairedGain } from "../src/train/report/gain.js";
import { readMetrics } from "../src/train/metrics-file.js";
import { readResult, type TrainResult } from "../src/train/result.js";
import { readRunConfig, readStarts } from "../src/train/run-folder.js";
import type { SftResult } from "../src/train/sft/sft.js";
import { chosenTranscripts, metricHeading, metricRows, number, signed, stepsPerRow, transcript } from "./run-page.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, "docs", "results");
const [run, warmUp] = [join(root, "runs", "smollm2"), join(root, "runs", "smollm2-sft2")];

async function page(): Promise<string> {
  const result = await readResult<TrainResult>(run);
  const sft = await readResult<SftResult>(warmUp);
  if (result?.before == null || result.after == null || sft === null) {
    throw new UserError(`${run} and ${warmUp} are not finished runs. docs/sft.md has the commands that make them.`);
  }
  const pairs = (await attemptPairs(run, "greedy")) ?? [];
  const gain = pairedGain(pairs);
  const config = await readRunConfig(run);
  const { starts } = await readStarts(run);
  const counts = { won: 0, lost: 0 };
  for (const { before, after } of pairs) {
    const difference = after.exactMatch - before.exactMatch;
    if (difference > 0) counts.won++;
    if (difference < 0) counts.lost++;
  }
  const metrics = await readMetrics(run);
  const peakMb = Math.max(result.peakMemoryMb, ...metrics.map((line) => line["memory/peak"] ?? 0));
  const columns = [
    { name: "after the warm-up", report: result.before.greedy },
    { name: "after reinforcement", report: result.after.greedy },
  ];
  return `# SmolLM2-135M-Instruct learns to search

A real pretrained language model, from its 98 MB GGUF file (Q4_1, dequantised), with an adapter of rank ${config.model.loraRank} on every linear layer, over the built-in world: questions of one and two
hops about countries, passages in plain English, searched with BM25. First a short supervised warm-up on transcripts about training countries, then GRPO from the final
answer alone. The ${gain.n} test questions are about held-out countries, which neither the warm-up nor the training questions mention. Two CPU cores, beside other work.

    npm run fixtures:smollm2
    npx sleuth sft   --config src/recipes/search-r1/smollm2.ts --run runs/smollm2-sft2
    npx sleuth train --config src/recipes/search-r1/smollm2.ts --model runs/smollm2-sft2/best --run runs/smollm2
    npm run results:smollm2

Reinforcement ran at commit ${[...new Set(starts.map(({ commit }) => commit))].join(", ")}, as \`${starts[0].command.slice(1).join(" ")}\`${starts.length > 1 ? `, in ${starts.length} starts` : ""}.

**Gain of reinforcement: ${signed(gain.value)} exact match, 95 % interval [${signed(gain.low)}, ${signed(gain.high)}]** (greedy; paired bootstrap over ${gain.n} questions, 10,000 samples:
${counts.won} questions won, ${counts.lost} lost). ${gain.low > 0 ? "The interval lies above 0." : "The interval does not lie above 0."}

${evaluationMarkdown(columns)}
The warm-up took ${sft.steps} steps (${Math.round(sft.seconds)} s) on ${sft.transcripts.training} transcripts; its loss on ${sft.transcripts.validation} others fell from ${number(sft.validation?.before, 3)} to ${number(sft.validation?.best, 3)} nats per token.
Reinforcement took ${result.steps} steps of ${config.train.questionsPerStep} questions × ${config.algorithm.groupSize} attempts in ${Math.round(result.seconds / 60)} minutes (${number(result.seconds / result.steps, 0)} s a step); the checkpoint of step ${result.best?.step ?? result.steps} was
chosen on validation countries${result.steps < config.train.steps ? `; the run was ended by the clock, before its ${config.train.steps} steps` : ""}. Peak memory ${peakMb} MB.

![Learning curve](smollm2.svg)

## Steps

Means of ${stepsPerRow} steps: reward of the attempts (temperature 1), searches per question, share of groups without variance, gradient norm, tokens per attempt, seconds of rollout and of training,
greedy exact match on ${config.train.evalSize} validation questions where it was measured.

${metricHeading}
${metricRows(metrics).join("\n")}

## Five transcripts

From the test after training, greedy. The last line says how each ended.

${chosenTranscripts(pairs).map(transcript).join("\n")}`;
}

writeFileSync(join(output, "smollm2.md"), await page());
copyFileSync(join(run, "curve.svg"), join(output, "smollm2.svg"));
process.stderr.write(`wrote ${join(output, "smollm2.md")}\n`);
