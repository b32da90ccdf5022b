/** @file `sleuth eval`: how well a model answers, with intervals, without training it. */
import { Option } from "commander";
import { loadQuestions } from "../data/questions.js";
import { toReport, type Evaluation } from "../eval/evaluation.js";
import { runEvaluation } from "../eval/run-evaluation.js";
import { evaluationTable } from "../eval/table.js";
import { traceToLine } from "../rollout/trace.js";
import { writeFileDurably } from "../train/durable.js";
import type { Config } from "../train/config.js";
import { loadSplits, openPolicy, openTask } from "../train/parts.js";
import type { Question } from "../types.js";
import { configOfModel, type ModelOptions } from "./evaluated-run.js";
import { withInterrupt } from "./interrupt.js";
import { addRunOptions, integer, warnAboutCorpus } from "./run-options.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb } from "./verb.js";

interface Options extends ModelOptions {
  split: "train" | "validation" | "test";
  modes: "greedy" | "sampled" | "both";
  limit?: number;
  out?: string;
}

export const evalVerb: Verb = {
  name: "eval",
  summary: "evaluate a model or a run",
  description:
    "Lets a model answer questions, greedily and sampled at temperature 1, and reports exact match with 95 % intervals. With --run, questions, passages and settings are those of the run unless other flags say otherwise; --questions evaluates all questions of that file.",
  examples: [
    ["sleuth eval --run runs/mine", "a run's best model on the questions it was tested on"],
    ["sleuth eval --model models/mine --questions q.jsonl --index index", "any model on any questions"],
    ["sleuth eval --run runs/mine --modes greedy --limit 100 --out answers.jsonl", "fewer, and every attempt on file"],
  ],
  configure: (command) => {
    addRunOptions(command);
    command
      .option("--run <folder>", "evaluate the best model of this run")
      .addOption(
        new Option("--split <name>", "which questions of the configuration")
          .choices(["train", "validation", "test"])
          .default("test"),
      )
      .addOption(new Option("--modes <name>", "how to sample").choices(["greedy", "sampled", "both"]).default("both"))
      .option("--limit <number>", "at most so many questions", integer(1))
      .option("--out <file>", "write every attempt here, one JSON object per line");
  },
  async run(terminal, given) {
    const options = given as unknown as Options;
    const config = await configOfModel(options);
    warnAboutCorpus(config, terminal);
    const questions = await questionsFor(config, options);
    const evaluations = await evaluate(terminal, config, questions, options.modes);
    if (options.out !== undefined) await writeAttempts(options.out, evaluations);
    terminal.print(
      evaluationTable(evaluations.map((evaluation) => ({ name: modeOf(evaluation), report: evaluation }))).trimEnd(),
    );
    const reports = evaluations.map((evaluation) => [modeOf(evaluation), toReport(evaluation)]);
    return { model: config.model.folder, n: questions.length, ...(Object.fromEntries(reports) as object) };
  },
};

async function questionsFor(config: Config, { questions, split, limit }: Options): Promise<readonly Question[]> {
  const all = questions === undefined ? await ofSplit(config, split) : await loadQuestions(questions);
  return all.slice(0, limit ?? (split === "test" && questions === undefined ? config.train.testSize : all.length));
}

async function ofSplit(config: Config, split: Options["split"]): Promise<readonly Question[]> {
  const splits = await loadSplits(config);
  return split === "train" ? splits.questions : splits[split];
}

async function evaluate(
  terminal: Terminal,
  config: Config,
  questions: readonly Question[],
  modes: Options["modes"],
): Promise<Evaluation[]> {
  const temperatures = modes === "both" ? [0, 1] : modes === "greedy" ? [0] : [1];
  const task = await openTask(config);
  try {
    const policy = await openPolicy(config);
    try {
      return await withInterrupt(terminal, "Stopping.", async (signal) => {
        const evaluations: Evaluation[] = [];
        for (const temperature of temperatures) {
          const label = temperature === 0 ? "Greedy" : "At T=1";
          const progress = new ProgressBar(terminal, { label, total: questions.length, unit: "questions" });
          evaluations.push(
            await runEvaluation(policy.value, task.value, questions, {
              temperature,
              seed: config.train.seed,
              concurrency: config.rollout.maxConcurrent,
              signal,
              onProgress: (done) => progress.update(done),
            }),
          );
          progress.stop();
        }
        return evaluations;
      });
    } finally {
      await policy.close();
    }
  } finally {
    await task.close();
  }
}

function modeOf({ temperature }: Evaluation): string {
  return temperature === 0 ? "greedy" : "sampled";
}

async function writeAttempts(file: string, evaluations: readonly Evaluation[]): Promise<void> {
  const lines = evaluations.flatMap(({ records }) =>
    records.map(({ question, trajectory, reward }) => `${traceToLine({ question, trajectory, reward })}\n`),
  );
  await writeFileDurably(file, lines.join(""));
}
