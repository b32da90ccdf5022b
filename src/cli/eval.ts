/** @file `sleuth eval`: how well a model answers, with intervals, without training it. */
import { existsSync } from "node:fs";
import { Option } from "commander";
import { UserError } from "../errors.js";
import { loadQuestions } from "../data/questions.js";
import { toReport, type Evaluation } from "../eval/evaluation.js";
import { recordLine } from "../eval/folder.js";
import { evaluationsTable } from "../eval/table.js";
import { writeFileDurably } from "../files/durable.js";
import { shellWord } from "../printable.js";
import { mergeConfig, type Config } from "../train/config/config.js";
import { evaluate, evaluateOnce, type EvaluateOptions } from "../train/evaluate.js";
import { loadSplits } from "../train/questions.js";
import { modelName } from "../train/served-model.js";
import type { Question } from "../types.js";
import { EvaluationProgress } from "./eval-progress.js";
import { fetchModel } from "./fetch-model.js";
import { Interrupted, interruptedStatus, withInterrupt } from "./interrupt.js";
import {
  addPreset,
  addRunOptions,
  addServer,
  configOfModel,
  integer,
  numberOption,
  type ModelOptions,
} from "./run-options.js";
import { addFormat, printTable, type FormatOptions } from "./table-format.js";
import { plural } from "./terminal/format.js";
import { noteMemory } from "./terminal/memory-note.js";
import type { Terminal } from "./terminal/terminal.js";
import { serverLines } from "./usage-line.js";
import type { Verb, VerbAnswer } from "./verb.js";
import type { MemoryPlan, ServerUsage } from "../contracts/policy.js";

interface Options extends ModelOptions, FormatOptions {
  split: "train" | "validation" | "test";
  modes: "greedy" | "both";
  attempts: number;
  temperature?: number;
  seed?: number;
  limit?: number;
  out?: string;
  answerInCorpus: boolean;
}

export const evalVerb: Verb = {
  name: "eval",
  summary: "evaluate a model or a run",
  description:
    "Lets a model answer questions, greedily unless told otherwise, and reports exact match (ours and SQuAD's), F1, cover match, the reward and, where one is named, a judge side by side, with 95 % intervals. With --run, questions, passages and settings are those of the run unless other flags say otherwise; --questions evaluates all questions of that file, or the test part of that folder. With --out FOLDER every attempt is kept as soon as it is made: the same command goes on where it was stopped.",
  examples: [
    ["sleuth eval --run runs/mine", "a run's best model on the questions it was tested on"],
    [
      "sleuth eval --model models/mine --questions q.jsonl --index index --out evals/mine",
      "any model on any questions, and every attempt on file",
    ],
    ["sleuth eval --run runs/mine --attempts 8", "eight attempts at temperature 1 at each question: pass@k and maj@k"],
    ["sleuth eval --run runs/mine --limit 100 --format latex", "fewer questions, and a table for a paper"],
    [
      "sleuth eval --server http://127.0.0.1:8000/v1 --questions q.jsonl --index index --out evals/served",
      "a model behind a server (docs/served-models.md)",
    ],
  ],
  configure: (command) => {
    addRunOptions(command);
    addPreset(command);
    addServer(command);
    command
      .option("--run <folder>", "evaluate the best model of this run")
      .addOption(
        new Option("--split <name>", "which questions of the configuration")
          .choices(["train", "validation", "test"])
          .default("test"),
      )
      .addOption(
        new Option("--modes <name>", "greedy, or both: greedily and at temperature 1, side by side")
          .choices(["greedy", "both"])
          .default("greedy"),
      )
      .option("--attempts <number>", "at each question; several need a temperature", integer(1), 1)
      .option("--temperature <number>", "0 is greedy; default: 0, with several attempts 1", numberOption)
      .option("--seed <number>", "of sampling; default: train.seed", integer(0))
      .option("--limit <number>", "at most so many questions", integer(1))
      .option("--no-answer-in-corpus", "do not read the whole corpus to see which questions it can answer")
      .option("--out <path>", "keep the evaluation in this folder; FILE.jsonl: write every attempt there at the end");
    addFormat(command);
  },
  async run(terminal, given) {
    const options = given as unknown as Options;
    checkOptions(options);
    const config = await fetchModel(terminal, await configOfModel(options, terminal));
    const questions = await questionsFor(config, options);
    if (questions.length === 0)
      throw new UserError(
        `There are no ${options.split} questions in ${config.data.questions}: too few to set some aside. Give some with --questions, or take another part with --split.`,
      );
    return evaluateAndReport(terminal, config, questions, options);
  },
};

/** @throws UserError for flags that contradict each other */
function checkOptions({ modes, attempts, temperature, out }: Options): void {
  if (temperature !== undefined && temperature !== 0 && temperature < 0.001)
    throw new UserError("--temperature must be 0 (greedy) or at least 0.001.");
  if (attempts > 1 && temperature === 0)
    throw new UserError("--attempts with --temperature 0: greedy attempts are all the same. Leave one of them out.");
  if (modes === "greedy") return;
  if (attempts > 1 || temperature !== undefined)
    throw new UserError(
      "--modes both is one attempt greedily and one at temperature 1. Leave --attempts and --temperature out, or --modes.",
    );
  if (keepsFolder(out))
    throw new UserError(
      `--out ${out} keeps one evaluation, and --modes both makes two. Leave --modes out, and evaluate with --temperature 1 into another folder.`,
    );
}

function keepsFolder(out: string | undefined): out is string {
  return out !== undefined && !out.endsWith(".jsonl");
}

async function evaluateAndReport(
  terminal: Terminal,
  config: Config,
  questions: readonly Question[],
  options: Options,
): Promise<VerbAnswer> {
  let memory: MemoryPlan | undefined;
  let usage: ServerUsage | undefined;
  const progress = new EvaluationProgress(terminal);
  progress.announce(questions.length * (options.modes === "both" ? 2 : options.attempts), config);
  terminal.waiting("Opening the model and answering the first questions");
  const common = (signal: AbortSignal): EvaluateOptions => ({
    questions,
    signal,
    answerInCorpus: options.answerInCorpus,
    onNotice: (notice) => terminal.notice(notice),
    onMemory: (plan) => {
      memory = plan;
      noteMemory(terminal, plan);
    },
    onUsage: (used) => {
      usage = used;
    },
    // After Ctrl-C the other questions are cancelled, not answered.
    onProgress: (part, done, total) => void (signal.aborted || progress.update(part, done, total)),
  });
  const stopping = keepsFolder(options.out) ? "Finishing what is on file." : "Stopping.";
  let found: Found;
  try {
    found = await withInterrupt(terminal, stopping, (signal) =>
      options.modes === "both"
        ? bothModes(config, common(signal))
        : once(terminal, config, options, common(signal), progress),
    );
  } catch (error) {
    if (!(error instanceof Interrupted) || !keepsFolder(options.out) || !existsSync(options.out)) throw error;
    progress.stop();
    terminal.print(`Stopped. What was done is in ${options.out}; the same command goes on from there.`);
    return { status: "interrupted", out: options.out, exitStatus: interruptedStatus };
  }
  progress.stop();
  const { evaluations, precision } = found;
  if (options.out !== undefined && !keepsFolder(options.out)) await writeAttempts(options.out, evaluations);
  report(terminal, found, options);
  if (usage !== undefined) for (const line of serverLines(usage)) terminal.note(terminal.progressColors.dim(line));
  return {
    model: modelName(config),
    n: questions.length,
    ...(usage === undefined ? {} : { usage }),
    precision,
    memory,
    ...(options.out === undefined ? {} : { out: options.out }),
    ...(Object.fromEntries(evaluations.map((one) => [modeOf(one), toReport(one)])) as object),
  };
}

interface Found {
  evaluations: Evaluation[];
  precision?: "int8" | "float32";
}

async function bothModes(config: Config, options: EvaluateOptions): Promise<Found> {
  // Choosing a checkpoint plays no part here, but its key must fit the modes.
  const modes = mergeConfig(config, { train: { evalModes: "both", keepBest: "greedy" } });
  const { greedy, sampled, precision } = await evaluate(modes, options);
  return { evaluations: sampled === undefined ? [greedy] : [greedy, sampled], precision };
}

async function once(
  terminal: Terminal,
  config: Config,
  { out, attempts, temperature, seed, split, questions: source }: Options,
  common: EvaluateOptions,
  progress: EvaluationProgress,
): Promise<Found> {
  const { evaluation, head, wasFinished } = await evaluateOnce(config, {
    ...common,
    attempts,
    seed,
    temperature: temperature ?? (attempts > 1 ? 1 : 0),
    source: source ?? `${config.data.questions} (${split})`,
    ...(keepsFolder(out) ? { out } : {}),
    onEarlier: (records) => {
      terminal.note(`Going on after ${plural(records.length, "attempt")} on file.`);
      progress.addEarlier(records);
    },
    onRecord: (record, done, total) => void (common.signal?.aborted || progress.add(record, done, total)),
  });
  if (wasFinished) terminal.note(`${out} holds the finished evaluation: nothing was computed.`);
  return { evaluations: [evaluation], precision: head.precision };
}

function report(terminal: Terminal, { evaluations, precision }: Found, { format, out }: Options): void {
  const columns = evaluations.map((evaluation) => ({ name: modeOf(evaluation), report: toReport(evaluation) }));
  printTable(terminal, evaluationsTable(columns), format);
  const { dim } = terminal.progressColors;
  for (const { skipped = [], judgements } of evaluations) {
    if (skipped.length > 0)
      terminal.note(
        terminal.progressColors.yellow(
          `${plural(skipped.length, "question")} could not be attempted and ${skipped.length === 1 ? "is" : "are"} not counted. The first: ${skipped[0].why}`,
        ),
      );
    if (judgements !== undefined && judgements.failed > 0)
      terminal.note(
        terminal.progressColors.yellow(
          `${plural(judgements.failed, "judgement")} failed, and exact match stands in for ${judgements.failed === 1 ? "it" : "them"}. The last: ${judgements.reason}`,
        ),
      );
  }
  if (precision !== undefined) terminal.note(dim(`Precision: ${precision}`));
  if (keepsFolder(out))
    terminal.note(dim(`Every attempt is in ${out}; sleuth compare ${shellWord(out)} OTHER compares it with another.`));
}

async function questionsFor(config: Config, { questions, split, limit }: Options): Promise<readonly Question[]> {
  const all = questions === undefined ? await ofSplit(config, split) : await loadQuestions(questions, split);
  return all.slice(0, limit ?? (split === "test" && questions === undefined ? config.train.testSize : all.length));
}

async function ofSplit(config: Config, split: Options["split"]): Promise<readonly Question[]> {
  const splits = await loadSplits(config);
  return split === "train" ? splits.questions : splits[split];
}

function modeOf({ temperature }: Evaluation): "greedy" | "sampled" {
  return temperature === 0 ? "greedy" : "sampled";
}

async function writeAttempts(file: string, evaluations: readonly Evaluation[]): Promise<void> {
  await writeFileDurably(file, evaluations.flatMap(({ records }) => records.map(recordLine)).join(""));
}
