/** @file `sleuth sft`: supervised training on transcripts, the cold start of reinforcement. */
import path from "node:path";
import { UserError } from "../errors.js";
import { mergeConfig, type Config } from "../train/config/config.js";
import { readRunConfig } from "../train/run-folder.js";
import { sft, type SftEvent, type SftResult } from "../train/sft/sft.js";
import { fetchModel } from "./fetch-model.js";
import { interruptedStatus, withInterrupt } from "./interrupt.js";
import {
  addPreset,
  addSettings,
  configHelp,
  configOf,
  configOver,
  flagsAgain,
  keyOption,
  withoutUndefined,
  type RunOptions,
} from "./run-options.js";
import { bestMeaning, printFiles, printNext } from "./run-result.js";
import { duration, plural } from "./terminal/format.js";
import { noteMemory } from "./terminal/memory-note.js";
import { SftPanel } from "./terminal/sft-panel.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb, VerbAnswer } from "./verb.js";
import type { MemoryPlan } from "../contracts/policy.js";
import { shellWord } from "../printable.js";

interface Options extends RunOptions {
  transcripts?: string;
  count?: number;
  minReward?: number;
  epochs?: number;
  batch?: number;
  run?: string;
  resume?: boolean;
  seed?: number;
}

export const sftVerb: Verb = {
  name: "sft",
  summary: "teach a model from transcripts, before reinforcement",
  description:
    "Trains a model to write what the policy wrote in transcripts of searches: the cold start of reinforcement, or the baseline beside it. What the environment wrote is read and never learned. A stopped run goes on with --resume; its best/ is a model for train, eval and ask.",
  examples: [
    ["sleuth sft --transcripts good.jsonl --model hf:HuggingFaceTB/SmolLM2-135M-Instruct --run runs/warm", "a new run"],
    ["sleuth train --model runs/warm/best --questions q.jsonl --index index", "and reinforcement from there"],
    [
      "sleuth sft --transcripts atlas --count 128 --epochs 1 --model models/mine",
      "on the built-in world's own transcripts",
    ],
    ["sleuth sft --transcripts runs/mine/trajectories --min-reward 1 --model models/mine", "on a run's best attempts"],
    [
      "sleuth sft --transcripts answers --questions q.jsonl --model models/mine --set rollout.method=direct",
      "on the answers of questions, without search: a baseline (docs/baselines.md)",
    ],
    ["sleuth sft --run runs/warm --resume", "goes on with it"],
  ],
  configure: (command) => {
    command.option(
      "--transcripts <source>",
      'attempts to learn from: a JSONL file of {"id","question","turns":[…]}, a run\'s trajectories/, atlas, or answers: the training questions with their answers alone (sft.transcripts)',
    );
    command.option("--questions <source>", "with --transcripts answers: the questions (data.questions)");
    addSettings(command);
    addPreset(command);
    command
      .addOption(keyOption("sft.count"))
      .addOption(keyOption("sft.minReward"))
      .addOption(keyOption("sft.epochs"))
      .addOption(keyOption("sft.batch"))
      .option("--run <folder>", "where the run is written; without it runs/ and the time of day")
      .option("--resume", "go on with the run in --run, with the configuration it was started with")
      .addOption(keyOption("train.seed", "of order, wording, what is set aside and fresh adapters"))
      .addHelpText("after", () => configHelp());
  },
  async run(terminal, given) {
    const config = await fetchModel(terminal, await configFor(given as Options, terminal));
    const panel = new SftPanel(terminal);
    let memory: MemoryPlan | undefined;
    const onEvent = (event: SftEvent): void => {
      if (event.kind === "start" && event.memory) {
        memory = event.memory;
        noteMemory(terminal, memory);
      }
      panel.onEvent(event);
    };
    let result: SftResult;
    try {
      result = await withInterrupt(terminal, "Finishing the step and writing a checkpoint.", (signal) =>
        sft(config, { onEvent, signal }),
      );
    } finally {
      panel.stop();
    }
    const isOver = result.status !== "interrupted";
    const settings = flagsAgain(given as Options, ["preset", "config"]);
    const answer = isOver ? finished(terminal, config, result, settings) : interrupted(terminal, result);
    return { ...answer, memory };
  },
};

async function configFor(options: Options, terminal: Terminal): Promise<Config> {
  const { transcripts, count, minReward, epochs, batch, run, seed, resume } = options;
  const flags = withoutUndefined({
    sft: { transcripts, count, minReward, epochs, batch },
    train: { seed },
    run: { folder: run },
  });
  if (!resume) return configOf(options, flags, terminal);
  if (run === undefined) throw new UserError("--resume needs the run to go on with: sleuth sft --run runs/… --resume");
  return configOver(mergeConfig(await readRunConfig(run), { run: { folder: run } }), options, flags);
}

/** @param settings flags that `train` wants, too */
function finished(terminal: Terminal, config: Config, result: SftResult, settings: string): VerbAnswer {
  const { bold } = terminal.colors;
  const { before, best } = result.validation;
  terminal.print(
    `${bold("Run")}  ${plural(result.steps, "step")} on ${plural(result.transcripts.training, "transcript")}, ${duration(result.seconds * 1000)} of training`,
  );
  if (before !== null && best !== null)
    terminal.print(
      `Loss on ${plural(result.transcripts.validation, "transcript")} set aside: ${before.toFixed(3)} → ${best.toFixed(3)} nats per token`,
    );
  printFiles(terminal, result.folder, [
    ["curve.html", "the loss (curve.svg: the picture alone)"],
    ["best", bestMeaning(result, "the best model: a model folder, or the adapter where one was trained")],
    ["checkpoints", "where the run goes on"],
    ["trajectories", "some transcripts as they were learned, prompt and masks included"],
    ["metrics.jsonl", "every number of every step"],
  ]);
  const model = path.join(result.folder, "best");
  const questions =
    config.data.questions === "atlas" && config.sft.transcripts !== "atlas" ? " --questions … --index …" : "";
  printNext(terminal, [
    [`npx sleuth train${settings} --model ${shellWord(model)}${questions}`, "reinforcement from here"],
    [`npx sleuth eval --run ${shellWord(result.folder)}${questions}`, "how well it answers already"],
  ]);
  return { ...result, runDir: result.folder, modelFolder: model };
}

function interrupted(terminal: Terminal, { folder, status, steps }: SftResult): VerbAnswer {
  const resume = `npx sleuth sft --run ${shellWord(folder)} --resume`;
  terminal.print(`Stopped after step ${steps}; everything up to there is saved. Go on with:`);
  terminal.print(`  ${terminal.colors.cyan(resume)}`);
  return { status, steps, runDir: folder, resume, exitStatus: interruptedStatus };
}
