/** @file `sleuth demo`: the whole story on the built-in world, from the untrained model to the table of before and after. */
import { buildAtlas } from "../data/atlas/atlas.js";
import { atlasDemo } from "../recipes/search-r1/recipe.js";
import { renderTrace } from "../rollout/trace.js";
import { mergeConfig, type Config, type ConfigInput } from "../train/config/config.js";
import { attemptPairs, type AttemptPair } from "../train/report/gain.js";
import { isUntrained, type TestReports, type TrainResult } from "../train/result.js";
import { addFaithful, collect, configOver, keyOption, withoutUndefined } from "./run-options.js";
import { exitStatusOf, interruptedAnswer, printNext, printGain, printReports, printRun } from "./run-result.js";
import { count, duration } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";
import { runTraining } from "./train.js";
import type { Verb, VerbAnswer } from "./verb.js";
import { shellWord } from "../printable.js";

interface Options {
  seed?: number;
  steps?: number;
  /** False with --no-search. */
  search: boolean;
  randomRetriever?: boolean;
  /** False with --no-mask. */
  mask: boolean;
  run?: string;
  quick?: boolean;
  faithful?: boolean;
  set?: string[];
}

/** Enough to see every stage and the first of the learning. */
const quick: ConfigInput = {
  train: { steps: 16, evalEvery: 4, evalSize: 60, testSize: 90 },
};

export const demoVerb: Verb = {
  name: "demo",
  summary: "watch a model learn to search, in minutes",
  description:
    "Evaluates the shipped base model on questions about countries that it has never read of, trains it by reinforcement with a search engine, evaluates it again, and shows what changed. Needs two cores and some minutes.",
  examples: [
    ["sleuth demo", "the whole story"],
    ["sleuth demo --quick", "every stage in little time; learning only begins"],
    ["sleuth demo --no-search --seed 1", "the control without a search engine"],
    ["sleuth demo --json", "the numbers, for a program"],
  ],
  configure: (command) => {
    addFaithful(command);
    command
      .addOption(keyOption("train.seed"))
      .addOption(keyOption("train.steps"))
      .option("--no-search", "control: the same training without a search engine")
      .option("--random-retriever", "control: random passages instead of search results")
      .option("--no-mask", "ablation: train on retrieved text as if the model had written it")
      .option("--run <folder>", "where the run is written; a run that is there goes on")
      .option("--quick", "a few steps and few test questions")
      .option(
        "--set <key=value>",
        "set any key of the configuration (see sleuth train --help); may be repeated",
        collect,
      );
  },
  async run(terminal, given) {
    const started = performance.now();
    const options = given as unknown as Options;
    const config = demoConfig(options);
    printWorld(terminal, config);
    const result = await runTraining(terminal, config);
    if (result.status === "interrupted")
      return interruptedAnswer(terminal, result, commandLine(options, result.folder));
    terminal.print();
    printReports(terminal, result);
    await printGain(terminal, result.folder);
    await printTranscripts(terminal, result.folder);
    printRun(terminal, result, config.train.steps);
    printNext(terminal, [
      [
        'npx sleuth ask "What is the capital of Peru?"',
        isUntrained(result) ? "ask the model" : "ask the model you have just trained",
      ],
      [`npx sleuth eval --run ${shellWord(result.folder)} --split validation`, "other questions"],
      ["npx sleuth demo --no-search", "the control: what is learned without searching"],
      ["npx sleuth train --questions q.jsonl --corpus passages.jsonl", "your own corpus; README.md has the steps"],
    ]);
    const seconds = (performance.now() - started) / 1000;
    terminal.print(
      terminal.colors.dim(`Everything in ${duration(seconds * 1000)}, with ${result.peakMemoryMb} MB at most.`),
    );
    return { ...demoAnswer(result, seconds), exitStatus: exitStatusOf(result) };
  },
};

/** The recipe, with what the flags change. */
function demoConfig(options: Options): Config {
  const { seed, steps, run, randomRetriever, search, mask } = options;
  const base = options.quick ? mergeConfig(atlasDemo, quick) : atlasDemo;
  const flags = withoutUndefined({
    train: { seed, steps },
    search: { engine: search ? (randomRetriever ? "random" : undefined) : "none" },
    algorithm: { maskRetrieved: mask ? undefined : false },
    run: { folder: run },
  });
  return configOver(mergeConfig(base, flags), { set: options.set, faithful: options.faithful });
}

/** The command line that goes on with an interrupted demo. */
function commandLine(options: Options, folder: string): string {
  const words = [
    ["--seed", options.seed],
    ["--steps", options.steps],
    ...(options.set ?? []).map((set) => ["--set", set]),
  ].flatMap(([flag, value]) => (value === undefined ? [] : [`${flag} ${shellWord(String(value))}`]));
  if (!options.search) words.push("--no-search");
  if (options.randomRetriever) words.push("--random-retriever");
  if (!options.mask) words.push("--no-mask");
  if (options.quick) words.push("--quick");
  if (options.faithful) words.push("--faithful");
  return ["npx sleuth demo", ...words, `--run ${shellWord(folder)}`].join(" ");
}

/** Says what there is to learn. */
function printWorld(terminal: Terminal, config: Config): void {
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

/** Prints the question that shows most: answered wrongly before, rightly after, with the most searches. */
async function printTranscripts(terminal: Terminal, runFolder: string): Promise<void> {
  const pairs = (await attemptPairs(runFolder, "greedy")) ?? [];
  if (pairs.length === 0) return;
  const [pair] = pairs.sort((a, b) => tellingness(b) - tellingness(a));
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

/** Learned answers first, then those that took more searches. */
function tellingness({ before, after }: AttemptPair): number {
  return ((after.reward ?? 0) - (before.reward ?? 0)) * 10 + after.trajectory.searches.length;
}

/** The numbers of the story; shares are null where nothing was tested. */
function demoAnswer(result: TrainResult, seconds: number): VerbAnswer {
  const { before, after, folder, best, steps } = result;
  const hops = after?.greedy.perHop.map(({ hops }) => hops) ?? [];
  const hopOf = (reports: TestReports | null, value: number): number | null =>
    reports?.greedy.perHop.find(({ hops }) => hops === value)?.summary.exactMatch.value ?? null;
  return {
    emBefore: before?.greedy.exactMatch.value ?? null,
    emAfter: after?.greedy.exactMatch.value ?? null,
    n: after?.greedy.n ?? 0,
    seconds,
    peakRssMb: result.peakMemoryMb,
    runDir: folder,
    t1Before: before?.sampled?.exactMatch.value ?? null,
    t1After: after?.sampled?.exactMatch.value ?? null,
    byHops: Object.fromEntries(
      hops.map((value) => [value, { before: hopOf(before, value), after: hopOf(after, value) }]),
    ),
    searchesPerQuestion: { before: searchesOf(before), after: searchesOf(after) },
    searchesToNeeded: after?.greedy.searchesToNeeded ?? null,
    trainSeconds: result.seconds,
    steps,
    bestStep: best?.step ?? null,
  };
}

function searchesOf(reports: TestReports | null): number | null {
  return reports?.greedy.searchesPerQuestion.value ?? null;
}
