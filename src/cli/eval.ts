/** @file `sleuth eval`: how well a model answers, with intervals, without training it. */
import { Option } from "commander";
import { UserError } from "../errors.js";
import { loadQuestions } from "../data/questions.js";
import { toReport, type Evaluation } from "../eval/evaluation.js";
import { evaluationTable } from "../eval/table.js";
import { traceToLine } from "../rollout/trace.js";
import { writeFileDurably } from "../files/durable.js";
import { mergeConfig, type Config } from "../train/config/config.js";
import { evaluate } from "../train/evaluate.js";
import { loadSplits } from "../train/questions.js";
import type { Question } from "../types.js";
import { fetchModel } from "./fetch-model.js";
import { withInterrupt } from "./interrupt.js";
import { addPreset, addRunOptions, configOfModel, integer, type ModelOptions } from "./run-options.js";
import { noteMemory } from "./terminal/memory-note.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Verb } from "./verb.js";
import type { MemoryPlan } from "../contracts/policy.js";

interface Options extends ModelOptions {
  split: "train" | "validation" | "test";
  modes: "greedy" | "both";
  limit?: number;
  out?: string;
}

export const evalVerb: Verb = {
  name: "eval",
  summary: "evaluate a model or a run",
  description:
    "Lets a model answer questions, greedily and sampled at temperature 1, and reports exact match with 95 % intervals. With --run, questions, passages and settings are those of the run unless other flags say otherwise; --questions evaluates all questions of that file, or the test part of that folder.",
  examples: [
    ["sleuth eval --run runs/mine", "a run's best model on the questions it was tested on"],
    ["sleuth eval --model models/mine --questions q.jsonl --index index", "any model on any questions"],
    ["sleuth eval --run runs/mine --modes greedy --limit 100 --out answers.jsonl", "fewer, and every attempt on file"],
  ],
  configure: (command) => {
    addRunOptions(command);
    addPreset(command);
    command
      .option("--run <folder>", "evaluate the best model of this run")
      .addOption(
        new Option("--split <name>", "which questions of the configuration")
          .choices(["train", "validation", "test"])
          .default("test"),
      )
      .addOption(new Option("--modes <name>", "how to sample").choices(["greedy", "both"]).default("both"))
      .option("--limit <number>", "at most so many questions", integer(1))
      .option("--out <file>", "write every attempt here, one JSON object per line");
  },
  async run(terminal, given) {
    const options = given as unknown as Options;
    const config = await fetchModel(terminal, await configOfModel(options, terminal));
    const questions = await questionsFor(config, options);
    if (questions.length === 0)
      throw new UserError(
        `There are no ${options.split} questions in ${config.data.questions}: too few to set some aside. Give some with --questions, or take another part with --split.`,
      );
    let memory: MemoryPlan | undefined;
    terminal.waiting("Opening the model and answering the first questions");
    let progress: { mode: string; bar: ProgressBar } | undefined;
    const { greedy, sampled, precision } = await withInterrupt(terminal, "Stopping.", (signal) =>
      evaluate(mergeConfig(config, { train: modesToKeys(options.modes) }), {
        questions,
        signal,
        onNotice: (notice) => terminal.notice(notice),
        onMemory: (plan) => {
          memory = plan;
          noteMemory(terminal, plan);
        },
        onProgress: (mode, done, total) => {
          // After Ctrl-C the other questions are cancelled, not answered.
          if (signal.aborted) return;
          if (progress?.mode !== mode) {
            progress?.bar.stop();
            progress = { mode, bar: new ProgressBar(terminal, { label: labels[mode], total, unit: "question" }) };
          }
          progress.bar.update(done);
        },
      }),
    );
    progress?.bar.stop();
    const evaluations = sampled === undefined ? [greedy] : [greedy, sampled];
    if (options.out !== undefined) await writeAttempts(options.out, evaluations);
    const columns = evaluations.map((evaluation) => ({ name: modeOf(evaluation), report: evaluation }));
    terminal.print(evaluationTable(columns).trimEnd());
    if (precision !== undefined) terminal.note(terminal.progressColors.dim(`Precision: ${precision}`));
    const reports = evaluations.map((evaluation) => [modeOf(evaluation), toReport(evaluation)]);
    return {
      model: config.model.folder,
      n: questions.length,
      precision,
      memory,
      ...(Object.fromEntries(reports) as object),
    };
  },
};

const labels = { greedy: "Greedy", sampled: "At T=1" };

/** Choosing a checkpoint plays no part here, but its key must fit the modes. */
function modesToKeys(modes: Options["modes"]): { evalModes: Options["modes"]; keepBest: "greedy" } {
  return { evalModes: modes, keepBest: "greedy" };
}

async function questionsFor(config: Config, { questions, split, limit }: Options): Promise<readonly Question[]> {
  const all = questions === undefined ? await ofSplit(config, split) : await loadQuestions(questions, split);
  return all.slice(0, limit ?? (split === "test" && questions === undefined ? config.train.testSize : all.length));
}

async function ofSplit(config: Config, split: Options["split"]): Promise<readonly Question[]> {
  const splits = await loadSplits(config);
  return split === "train" ? splits.questions : splits[split];
}

function modeOf({ temperature }: Evaluation): string {
  return temperature === 0 ? "greedy" : "sampled";
}

async function writeAttempts(file: string, evaluations: readonly Evaluation[]): Promise<void> {
  const lines = evaluations.flatMap(({ records }) =>
    records.map(
      ({ question, trajectory, reward, exactMatch }) =>
        `${traceToLine({ question, trajectory, reward, exactMatch })}\n`,
    ),
  );
  await writeFileDurably(file, lines.join(""));
}
