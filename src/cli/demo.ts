/** @file `sleuth demo`: the whole story on the built-in world, from the untrained model to the table of before and after. */
import { atlasDemo } from "../recipes/search-r1/recipe.js";
import { mergeConfig, type Config, type ConfigInput } from "../train/config/config.js";
import type { TestReports, TrainResult } from "../train/result.js";
import { printTranscripts, printWorld } from "./demo-stages.js";
import { addFaithful, collect, configOver, integer, withoutUndefined } from "./run-options.js";
import { exitStatusOf, interruptedAnswer, printNext, printGain, printReports, printRun } from "./run-result.js";
import { duration } from "./terminal/format.js";
import { runTraining } from "./train.js";
import type { Verb, VerbAnswer } from "./verb.js";

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
      .option("--seed <number>", "of question order and sampling", integer(0))
      .option("--steps <number>", "optimisation steps", integer(0))
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
    printTranscripts(terminal, result.folder);
    printRun(terminal, result);
    printNext(terminal, [
      ['npx sleuth ask "What is the capital of Peru?"', "ask the model you have just trained"],
      [`npx sleuth eval --run ${result.folder} --split validation`, "other questions"],
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
  ].flatMap(([flag, value]) => (value === undefined ? [] : [`${flag} ${value}`]));
  if (!options.search) words.push("--no-search");
  if (options.randomRetriever) words.push("--random-retriever");
  if (!options.mask) words.push("--no-mask");
  if (options.quick) words.push("--quick");
  if (options.faithful) words.push("--faithful");
  return ["npx sleuth demo", ...words, `--run ${folder}`].join(" ");
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
