/** @file `sleuth table`: a grid of evaluations (models, sets, methods), each a folder that `sleuth eval` could have made, beside published numbers. */
import { existsSync } from "node:fs";
import path from "node:path";
import { Option } from "commander";
import { loadQuestions } from "../data/questions.js";
import { UserError } from "../errors.js";
import { isEvaluationFolder, readEvaluation } from "../eval/folder.js";
import { gridTable, type GridCell } from "../eval/grid.js";
import { metrics, type MetricName } from "../eval/metrics.js";
import { publishedSets } from "../eval/published.js";
import type { TableFormat } from "../eval/table.js";
import { printable } from "../printable.js";
import { methodNames, methods, type MethodName } from "../rollout/methods/named.js";
import { mergeConfig, parseConfig, type Config } from "../train/config/config.js";
import { evaluateOnce } from "../train/evaluate.js";
import { loadSplits } from "../train/questions.js";
import { isRun } from "../train/run-folder.js";
import type { Question } from "../types.js";
import { EvaluationProgress } from "./eval-progress.js";
import { classify } from "./failure.js";
import { fetchModel } from "./fetch-model.js";
import { Interrupted, withInterrupt } from "./interrupt.js";
import { addPreset, addRunOptions, configOfModel, integer, type RunOptions } from "./run-options.js";
import { addFormat, printTable } from "./table-format.js";
import { plural } from "./terminal/format.js";
import type { Terminal } from "./terminal/terminal.js";
import type { Verb, VerbAnswer } from "./verb.js";

interface Options extends RunOptions {
  models: string[];
  sets: string[];
  methods: MethodName[];
  out: string;
  limit?: number;
  metric?: MetricName;
  /** Text that published rows are chosen by; false for none. */
  published: string | boolean;
  evaluate: boolean;
  format: TableFormat;
}

/** Something with a name: of a model or a set. */
interface Named {
  name: string;
  value: string;
}

/** One evaluation to make. */
interface Job extends Omit<GridCell, "saved"> {
  folder: string;
  /** Whether it looks for the answers in all passages: one does for each set, since they are the same for all. */
  answerInCorpus: boolean;
  model: string;
  source: Named;
  questions: Named;
}

export const tableVerb: Verb = {
  name: "table",
  summary: "evaluate models, sets and methods as a grid, beside published numbers",
  description:
    "Evaluates every model on every set by every method, greedily, and prints one table with 95 % intervals. Each evaluation is a folder OUT/MODEL/SET/METHOD, as sleuth eval --out writes it; what is finished is not done again, and a stopped one goes on. Sets that are called as the papers call them (nq, triviaqa, popqa, hotpotqa, 2wikimultihopqa, musique, bamboogle) have published numbers below them, marked where they are comparable.",
  examples: [
    [
      "sleuth table --models runs/mine --sets nq=nq.jsonl --methods direct rag search-r1 --index index --out table",
      "a run against two baselines",
    ],
    [
      "sleuth table --models base=hf:Qwen/Qwen2.5-0.5B-Instruct trained=runs/mine --sets nq=nq.jsonl hotpotqa=h.jsonl --search-url http://host:8000/retrieve --out table",
      "two models on two sets",
    ],
    ["sleuth table --models atlas-base --sets atlas --methods direct rag search-r1 --out table", "the built-in world"],
    ["sleuth table --models … --sets … --out table --no-evaluate --format latex", "what is there, for a paper"],
  ],
  required: ["models", "sets", "out"],
  configure: (command) => {
    command
      .option("--models <models...>", "models or run folders, as NAME=MODEL or MODEL alone")
      .option(
        "--sets <sets...>",
        "questions, as NAME=SOURCE or SOURCE alone: a file, a folder (its test part), or atlas for the built-in world",
      )
      .addOption(
        new Option("--methods <methods...>", "how questions are answered (docs/baselines.md)")
          .choices(methodNames)
          .default(["direct", "rag", "search-r1"]),
      )
      .option("--out <folder>", "where the evaluations are, and are made")
      .option("--limit <number>", "at most so many questions of each set, the first ones", integer(1))
      .addOption(
        new Option(
          "--metric <name>",
          "what the table shows; default squadMatch where a set is a published one",
        ).choices(Object.keys(metrics)),
      )
      .option("--published <text>", "published rows whose model or paper has this in its name; default: all that fit")
      .option("--no-published", "without published numbers")
      .option("--no-evaluate", "print what is there, and evaluate nothing");
    addRunOptions(command);
    addPreset(command);
    addFormat(command);
  },
  async run(terminal, given) {
    const options = given as unknown as Options;
    const jobs = jobsOf(options);
    const failures = options.evaluate ? await evaluateAll(terminal, jobs, options) : [];
    const cells = await Promise.all(jobs.map(cellOf));
    printTable(
      terminal,
      gridTable(cells, { metric: metricOf(options), published: publishedOf(options) }),
      options.format,
    );
    for (const { job, message } of failures) terminal.print(terminal.colors.red(`${titleOf(job)}: ${message}`));
    return answerOf(options, cells, failures);
  },
};

/** Every evaluation of the grid, model by model. @throws UserError for names that are used twice */
function jobsOf({ models, sets, methods: chosen, out }: Options): Job[] {
  const [sources, questions] = [named(models, "--models"), named(sets, "--sets")];
  const methodsOnce = [...new Set(chosen)];
  return sources.flatMap((source) =>
    questions.flatMap((set) =>
      methodsOnce.map((method) => ({
        ...{ model: source.name, set: set.name, method, source, questions: set },
        answerInCorpus: source === sources[0] && method === methodsOnce[0],
        folder: path.join(out, source.name, set.name, method),
      })),
    ),
  );
}

const nameForm = /^[\w.+-]+$/;

/** `NAME=VALUE`, or a value alone, which is called as its last part. */
function named(texts: readonly string[], flag: string): Named[] {
  const all = texts.map((text) => {
    const equals = text.indexOf("=");
    if (equals > 0 && nameForm.test(text.slice(0, equals)))
      return { name: text.slice(0, equals), value: text.slice(equals + 1) };
    const last = text.replace(/\/+$/, "").split("/").at(-1) ?? "";
    return { name: last.replace(/\.jsonl(\.gz)?$/, "").replace(/[^\w.+-]+/g, "-"), value: text };
  });
  const repeated = all.find(({ name }, index) => all.findIndex((other) => other.name === name) < index);
  if (repeated !== undefined)
    throw new UserError(`${flag} has two that are called ${repeated.name}. Name them: ${flag} A=… B=…`);
  const nameless = all.find(({ name, value }) => /^\.*$/.test(name) || value === "");
  if (nameless !== undefined) throw new UserError(`${flag} has one without a name or a value. Write NAME=VALUE.`);
  return all;
}

interface Failed {
  job: Job;
  message: string;
}

/** Makes what is not there. One that fails leaves the others their turn. @throws Interrupted */
async function evaluateAll(terminal: Terminal, jobs: readonly Job[], options: Options): Promise<Failed[]> {
  const failures: Failed[] = [];
  for (const [index, job] of jobs.entries()) {
    terminal.note(`[${index + 1}/${jobs.length}] ${titleOf(job)}`);
    try {
      await evaluateOne(terminal, job, options);
    } catch (error) {
      if (error instanceof Interrupted) {
        terminal.note("Stopped. The same command goes on from here.");
        throw error;
      }
      const failure = classify(error);
      // A bug of ours is no matter of one evaluation.
      if (failure?.kind !== "user") throw error;
      failures.push({ job, message: failure.message });
      terminal.notice({ kind: "warning", message: failure.message });
    }
  }
  return failures;
}

async function evaluateOne(terminal: Terminal, job: Job, options: Options): Promise<void> {
  const config = await fetchModel(terminal, await configFor(job, options));
  const questions = (await questionsOf(job, config)).slice(0, options.limit);
  const progress = new EvaluationProgress(terminal);
  try {
    await withInterrupt(terminal, "Stopping.", (signal) =>
      evaluateOnce(config, {
        ...{ questions, out: job.folder, source: job.questions.value, answerInCorpus: job.answerInCorpus, signal },
        onNotice: (notice) => terminal.notice(notice),
        onEarlier: (records) => progress.addEarlier(records),
        onRecord: (record, done, total) => void (signal.aborted || progress.add(record, done, total)),
        // After Ctrl-C the other questions are cancelled, not answered.
        onProgress: (part, done, total) => void (signal.aborted || progress.update(part, done, total)),
      }),
    );
  } finally {
    progress.stop();
  }
}

/** Of a run, everything is as it was trained with, but for the flags and the method. */
async function configFor({ source, questions, method }: Job, options: Options): Promise<Config> {
  const set = [...(options.set ?? []), `rollout.method=${method}`];
  const shared = { ...options, questions: questions.value, set };
  const isOfRun = existsSync(source.value) && isRun(source.value);
  const config = await configOfModel(
    isOfRun ? { ...shared, run: source.value, model: undefined } : { ...shared, run: undefined, model: source.value },
  );
  return mergeConfig(config, { train: { evalModes: "greedy", keepBest: "greedy" } }) as Config;
}

async function questionsOf({ questions: { value } }: Job, config: Config): Promise<Question[]> {
  if (value !== "atlas") return loadQuestions(value, "test");
  // A run that was not tested has a size of 0, and is to be evaluated all the same.
  const testSize = config.train.testSize || parseConfig({}).train.testSize;
  return (await loadSplits(mergeConfig(config, { train: { testSize } }) as Config)).test;
}

async function cellOf({ model, set, method, folder }: Job): Promise<GridCell> {
  return { model, set, method, saved: isEvaluationFolder(folder) ? await readEvaluation(folder) : null };
}

function titleOf({ model, set, method }: Pick<Job, "model" | "set" | "method">): string {
  return printable(`${model}, ${set}, ${methods[method].title}`);
}

function metricOf({ metric, sets }: Options): MetricName {
  return metric ?? (named(sets, "--sets").some(({ name }) => name in publishedSets) ? "squadMatch" : "exactMatch");
}

function publishedOf({ published }: Options): string | null {
  if (published === false) return null;
  return typeof published === "string" ? published : "";
}

function answerOf(options: Options, cells: readonly GridCell[], failures: readonly Failed[]): VerbAnswer {
  const all = cells.map(({ model, set, method, saved }) => ({ model, set, method, report: saved?.report ?? null }));
  const failed = failures.map(({ job: { model, set, method }, message }) => ({ model, set, method, message }));
  return {
    ...{ out: options.out, metric: metricOf(options), evaluations: all, failed },
    finished: `${all.filter(({ report }) => report !== null).length} of ${plural(all.length, "evaluation")}`,
    exitStatus: failed.length > 0 ? 1 : 0,
  };
}
