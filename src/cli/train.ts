/** @file `sleuth train`: trains on any questions and passages. */
import type { OnEvent } from "../train/run.js";
import { readRunConfig } from "../train/run-folder.js";
import type { TrainResult } from "../train/result.js";
import { train } from "../train/train.js";
import type { Config } from "../train/config/config.js";
import { UserError } from "../errors.js";
import { fetchModel } from "./fetch-model.js";
import { withInterrupt } from "./interrupt.js";
import {
  addRecipeOptions,
  addRunOptions,
  configHelp,
  configOf,
  configOver,
  keyOption,
  presetHelp,
  withoutUndefined,
  type RunOptions,
} from "./run-options.js";
import { exitStatusOf, interruptedAnswer, printNext, printReports, printRun, printGain } from "./run-result.js";
import { noteMemory } from "./terminal/memory-note.js";
import { TrainingPanel } from "./terminal/training-panel.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb } from "./verb.js";
import type { MemoryPlan } from "../contracts/policy.js";
import { shellWord } from "../printable.js";

interface Options extends RunOptions {
  run?: string;
  resume?: boolean;
  steps?: number;
  seed?: number;
}

export const trainVerb: Verb = {
  name: "train",
  summary: "train on your questions and passages",
  description:
    "Trains a model by reinforcement to answer questions with a search engine. Everything is written into a run folder; a run that was stopped or killed goes on from its last checkpoint.",
  examples: [
    ["sleuth train --questions questions.jsonl --corpus passages.jsonl --run runs/mine", "a new run"],
    ["sleuth train --run runs/mine --resume", "goes on with it"],
    ["sleuth train --model runs/warm/best --questions q.jsonl --index index", "a real model, after sleuth sft"],
    ["sleuth train --questions q.jsonl --index index --set train.steps=200 --set search.topK=3", "with settings"],
    [
      "sleuth train --config sleuth.config.ts --search-url http://localhost:8000/retrieve",
      "from a file, with a search server",
    ],
    [
      "sleuth train --preset search-r1-ppo --model hf:Qwen/Qwen2.5-0.5B --questions q.jsonl --index index",
      "with the settings of the paper's PPO script",
    ],
    [
      "sleuth train --preset search-r1-grpo --faithful --set faithful.oneStepLess=false --model … --questions … --index …",
      "and with the released code's arithmetic, but for one thing",
    ],
    [
      "sleuth train --questions q.jsonl --index index --model … --set rollout.context=question --set rollout.maxSearches=0",
      "a control: RAG",
    ],
  ],
  configure: (command) => {
    addRunOptions(command);
    addRecipeOptions(command);
    command
      .option("--run <folder>", "where the run is written; without it runs/ and the time of day")
      .option("--resume", "go on with the run in --run, with the configuration it was started with")
      .addOption(keyOption("train.steps"))
      .addOption(keyOption("train.seed"))
      .addHelpText("after", () => `${presetHelp()}\n${configHelp()}`);
  },
  async run(terminal, given) {
    const options = given as Options;
    const config = await fetchModel(terminal, await configFor(options, terminal));
    let memory: MemoryPlan | undefined;
    const result = await runTraining(terminal, config, (plan) => {
      memory = plan;
      noteMemory(terminal, plan);
    });
    if (result.status === "interrupted")
      return interruptedAnswer(terminal, result, `npx sleuth train --run ${shellWord(result.folder)} --resume`);
    printReports(terminal, result);
    await printGain(terminal, result.folder);
    printRun(terminal, result, config.train.steps);
    printNext(terminal, [
      [`npx sleuth ask "…" --run ${shellWord(result.folder)}`, "ask it something"],
      [`npx sleuth eval --run ${shellWord(result.folder)}`, "evaluate it again, or on other questions"],
    ]);
    return { ...result, memory, runDir: result.folder, exitStatus: exitStatusOf(result) };
  },
};

/** Trains under the live display. `onMemory` is told what memory is expected, before anything is computed. */
export async function runTraining(
  terminal: Terminal,
  config: Config,
  onMemory: (plan: MemoryPlan) => void = () => undefined,
): Promise<TrainResult> {
  const panel = new TrainingPanel(terminal);
  const onEvent: OnEvent = (event) => {
    if (event.kind === "start" && event.memory) onMemory(event.memory);
    panel.onEvent(event);
  };
  try {
    return await withInterrupt(terminal, "Finishing the step and writing a checkpoint.", (signal) =>
      train(config, { onEvent, signal }),
    );
  } finally {
    panel.stop();
  }
}

async function configFor(options: Options, terminal: Terminal): Promise<Config> {
  const { run, steps, seed } = options;
  const flags = withoutUndefined({ train: { steps, seed }, run: { folder: run } });
  if (!options.resume) return configOf(options, flags, terminal);
  if (run === undefined)
    throw new UserError("--resume needs the run to go on with: sleuth train --run runs/… --resume");
  if (options.preset !== undefined)
    throw new UserError(
      `--preset ${options.preset} begins a run, and --resume goes on with the settings that ${run} was begun with. Leave one of them out.`,
    );
  return configOver(await readRunConfig(run), options, flags);
}
