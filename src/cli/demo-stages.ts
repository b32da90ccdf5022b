/** @file The parts of the demo's story that are neither training nor its table: the world, and one question before and after. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { buildAtlas } from "../data/atlas/atlas.js";
import { renderTrace, traceFromLine, type TraceRecord } from "../rollout/trace.js";
import type { Config } from "../train/config/config.js";
import { count } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";

/** Says what there is to learn. */
export function printWorld(terminal: Terminal, config: Config): void {
  const { countries, passages, questions } = buildAtlas({ seed: config.data.worldSeed });
  const { bold, dim } = terminal.colors;
  const example = questions.test.find(({ hops }) => hops === 2) ?? questions.test[0];
  terminal.print(bold("Sleuth: a small language model learns to search"));
  terminal.print(
    `World   Atlas: ${count(passages.length)} passages about ${count(countries.train.length + countries.validation.length + countries.test.length)} countries, indexed with BM25`,
  );
  terminal.print(
    `Train   ${count(questions.train.length)} questions of 1, 2 and 3 hops about ${countries.train.length} countries; ${countries.validation.length} more choose the checkpoint`,
  );
  terminal.print(
    `Test    questions about ${countries.test.length} countries that neither the base model nor training has seen`,
  );
  terminal.print(dim(`        ${example.question}`));
  terminal.print(`Reward  1 for the right answer, and nothing else: ${engineInWords(config)}`);
  terminal.print();
}

function engineInWords({ search, algorithm, train }: Config): string {
  const engines: Readonly<Record<string, string>> = {
    bm25: "a real search engine",
    http: "a search server",
    random: "random passages instead of search results (a control)",
    empty: "a search engine that never finds anything (a control)",
    none: "no search engine at all (a control)",
  };
  const mask = algorithm.maskRetrieved ? "" : ", trained on retrieved text too (an ablation)";
  return `${engines[search.engine] ?? `the search engine ${search.engine}`}${mask}; seed ${train.seed}`;
}

/** Two attempts at one question. */
interface Pair {
  before: TraceRecord;
  after: TraceRecord;
}

/** Prints the question that shows most: answered wrongly before, rightly after, with the most searches. */
export function printTranscripts(terminal: Terminal, runFolder: string): void {
  const pair = tellingPair(attemptsOf(runFolder, "before-greedy"), attemptsOf(runFolder, "after-greedy"));
  if (!pair) return;
  const { bold, dim, isColorSupported } = terminal.colors;
  const key = isColorSupported ? dim(" (queries cyan, passages yellow, answers green)") : "";
  terminal.print(`${bold("One question, before and after")}${key}`);
  for (const [name, record] of [
    ["Before", pair.before],
    ["After", pair.after],
  ] as const) {
    terminal.print(bold(`— ${name} —`));
    terminal.print(renderTrace(record, { colors: isColorSupported }));
    terminal.print();
  }
}

function tellingPair(before: readonly TraceRecord[], after: readonly TraceRecord[]): Pair | undefined {
  const earlier = new Map(before.map((record) => [record.trajectory.questionId, record]));
  const pairs = after.flatMap((record) => {
    const old = earlier.get(record.trajectory.questionId);
    return old === undefined ? [] : [{ before: old, after: record }];
  });
  return pairs.sort((a, b) => tellingness(b) - tellingness(a))[0];
}

/** Learned answers first, then those that took more searches. */
function tellingness({ before, after }: Pair): number {
  return ((after.reward ?? 0) - (before.reward ?? 0)) * 10 + after.trajectory.searches.length;
}

function attemptsOf(runFolder: string, name: string): TraceRecord[] {
  const file = path.join(runFolder, "evaluations", `${name}.jsonl`);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line, index) => traceFromLine(line, `${file}:${index + 1}`));
}
