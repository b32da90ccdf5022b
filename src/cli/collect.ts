/** @file `sleuth collect`: transcripts for `sleuth sft`, from attempts that score. */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Option } from "commander";
import { z } from "zod";
import { UserError } from "../errors.js";
import { writeError, writeFileDurably } from "../files/durable.js";
import { toJsonLines } from "../files/lines.js";
import { oneLine, printable, shellWord } from "../printable.js";
import { AttemptsFile } from "../synthesis/transcripts/attempts-file.js";
import { chooseAttempts } from "../synthesis/transcripts/choose.js";
import { collectAttempts, countOutcomes } from "../synthesis/transcripts/collect.js";
import { outcomes, type CollectedAttempt } from "../synthesis/transcripts/outcome.js";
import type { Config } from "../train/config/config.js";
import { openTask } from "../train/open-task.js";
import { loadSplits } from "../train/questions.js";
import { isUnnamed } from "../train/served-model.js";
import type { Question } from "../types.js";
import { modelCollector, scriptedCollector, scriptedConfig, type Collector } from "./collect-policy.js";
import { fetchModel } from "./fetch-model.js";
import { Interrupted, interruptedStatus, withInterrupt } from "./interrupt.js";
import { optionOf } from "./options.js";
import {
  addPreset,
  addRunOptions,
  addServer,
  configOfModel,
  flagsAgain,
  integer,
  numberOption,
  sourceFlags,
  type ModelOptions,
} from "./run-options.js";
import { printNext } from "./run-result.js";
import { count, duration, percent, plural, table } from "./terminal/format.js";
import { noteMemory } from "./terminal/memory-note.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";
import { serverLines } from "./usage-line.js";
import type { Verb, VerbAnswer } from "./verb.js";
import { methodSettings } from "../rollout/methods/named.js";

interface Options extends ModelOptions {
  out: string;
  policy?: "script" | "oracle" | "model";
  attempts: number;
  perQuestion: number;
  limit: number;
  minReward: number;
  temperature: number;
  seed: number;
  show: number;
}

export const collectVerb: Verb = {
  name: "collect",
  summary: "make transcripts for sft: attempt questions, keep what scores",
  description:
    "Lets a policy attempt questions with a search engine and keeps the attempts that score, as transcripts that sleuth sft learns from. Without --model and --run a script attempts them, which needs no model: it searches with the question's words, finds the sentence that fits best and takes the span that the question asks for; it never sees the right answer, so it suits questions with short answers that stand in the passages. With --policy oracle it is told the right answers and shows where they stand: so questions that people asked become transcripts, too. " +
    "Of one file of questions, those that train would set aside for validation and test are left out; of a folder, train.jsonl is attempted. What was attempted stays in FILE.attempts until the transcripts are written: after Ctrl-C the same command goes on.",
  examples: [
    ["sleuth collect --questions questions --index index --out transcripts.jsonl", "by the script, without a model"],
    [
      "sleuth collect --preset documents --questions questions --index index --out transcripts.jsonl",
      "within the budgets of the model that the preset trains",
    ],
    [
      "sleuth collect --policy oracle --questions q.jsonl --index index --out transcripts.jsonl",
      "by the script, told the right answers",
    ],
    [
      "sleuth collect --run runs/mine --questions q.jsonl --index index --attempts 8 --out better.jsonl",
      "a trained model's own successes, out of 8 attempts",
    ],
    [
      "sleuth collect --server http://127.0.0.1:11434/v1 --server-model qwen2.5:7b --questions q.jsonl --index index --out good.jsonl",
      "by a larger model behind a server",
    ],
    ["sleuth sft --transcripts transcripts.jsonl --model … --run runs/warm", "and learn from them"],
  ],
  required: ["out"],
  configure: (command) => {
    addRunOptions(command);
    addPreset(command);
    addServer(command);
    command
      .option("--run <folder>", "let the best model of this run attempt them, with its settings")
      .option("--out <file>", "write the transcripts here")
      .addOption(
        new Option(
          "--policy <name>",
          "who attempts: script, oracle (the script, told the right answers) or model; default: model with --model or --run, else script. A script has no tokens of its own: --model, where it is named, counts them",
        ).choices(["script", "oracle", "model"]),
      )
      .option(
        "--attempts <number>",
        "most attempts at a question; after the first that scores it is done",
        integer(1),
        4,
      )
      .option("--per-question <number>", "transcripts of a question", integer(1), 1)
      .option(
        "--limit <number>",
        "most transcripts, equally many of each number of searches as far as there are",
        integer(1),
        512,
      )
      .option("--min-reward <number>", "from this reward on an attempt has scored", numberOption, 1)
      .addOption(optionOf("temperature", z.number().min(0), { help: "of a model's attempts; 0 is greedy" }).default(1))
      .option("--seed <number>", "of sampling and of what is kept", integer(0), 0)
      .option("--show <number>", "attempts to show of each way to fail", integer(0), 1);
  },
  async run(terminal, given) {
    const options = given as unknown as Options;
    const by = whoAttempts(options);
    const asked = await configOfModel(options, terminal);
    const config = await fetchModel(terminal, settingsOf[by](asked));
    const { questions } = await loadSplits(config);
    const collector = await collectorOf(terminal, by, config);
    if (collector.memory) noteMemory(terminal, collector.memory);
    try {
      return await collect(terminal, { options, config, questions, collector });
    } finally {
      await collector.close();
    }
  },
};

type Attempter = "script" | "oracle" | "model" | "server";

/** @throws UserError for flags that contradict each other */
function whoAttempts({ policy, model, run, server }: Options): Attempter {
  if (server === undefined) return policy ?? ((model ?? run) === undefined ? "script" : "model");
  if (policy === undefined && run === undefined) return "server";
  throw new UserError("--server names who attempts the questions. Leave --policy and --run out, or --server.");
}

const settingsOf: Readonly<Record<Attempter, (config: Config) => Config>> = {
  script: scriptedConfig,
  oracle: scriptedConfig,
  model: (config) => config,
  server: (config) => config,
};

function collectorOf(terminal: Terminal, by: Attempter, config: Config): Promise<Collector> {
  return by === "script" || by === "oracle"
    ? scriptedCollector(config, by === "oracle")
    : modelCollector(config, (notice) => terminal.notice(notice));
}

interface Collection {
  options: Options;
  config: Config;
  questions: readonly Question[];
  collector: Collector;
}

async function collect(
  terminal: Terminal,
  { options, config: asked, questions, collector }: Collection,
): Promise<VerbAnswer> {
  const started = performance.now();
  const { out, attempts, perQuestion, minReward, temperature, seed } = options;
  const task = await openTask(
    asked,
    { policy: collector.facts },
    { questions, onNotice: (notice) => terminal.notice(notice) },
  );
  try {
    await makeFolderOf(out);
    const identity = identityOf(task.config, { questions, minReward, temperature, seed, by: collector.name });
    const file = await AttemptsFile.open(`${out}.attempts`, identity);
    if (file.earlier.length > 0) terminal.note(`Going on after ${plural(file.earlier.length, "attempt")} on file.`);
    const all = await attemptAll(terminal, file, {
      questions,
      task: task.value,
      protocol: methodSettings(task.config.rollout).protocol,
      policyFor: collector.policyFor,
      ...{ attempts, perQuestion, minReward, temperature, seed },
      concurrency: Math.min(32, task.config.rollout.maxConcurrent),
    });
    if (all === null) return stopped(terminal, out);
    const usage = collector.usage?.();
    if (usage !== undefined) for (const line of serverLines(usage)) terminal.print(line);
    return await report(terminal, {
      usage,
      all,
      file,
      questions,
      options,
      config: asked,
      by: collector.name,
      seconds: (performance.now() - started) / 1000,
    });
  } finally {
    await task.close();
  }
}

async function makeFolderOf(out: string): Promise<void> {
  try {
    await mkdir(path.dirname(out), { recursive: true });
  } catch (error) {
    throw writeError(out, error, "Name another file with --out.");
  }
}

/** Null after Ctrl-C. */
async function attemptAll(
  terminal: Terminal,
  file: AttemptsFile,
  options: Omit<Parameters<typeof collectAttempts>[1], "signal" | "onProgress">,
): Promise<CollectedAttempt[] | null> {
  const total = options.questions.length * options.attempts;
  // How many attempts a question takes, only they show: the bar is what share of the most is decided.
  const bar = new ProgressBar(terminal, { label: "Attempting", total, unit: "share", from: 0 });
  try {
    return await withInterrupt(terminal, "Finishing what is on file.", (signal) =>
      collectAttempts(file, {
        ...options,
        signal,
        onProgress: (done, most, scored) =>
          bar.update(done + total - most, `${plural(done, "attempt")}, ${count(scored)} scored`),
      }),
    );
  } catch (error) {
    if (error instanceof Interrupted) return null;
    throw error;
  } finally {
    bar.stop();
  }
}

/** What attempts depend on; where the model stands counts, what is in it does not. */
function identityOf({ model, search, rollout, reward, faithful, data }: Config, more: object): string {
  const parts = {
    model: model.folder,
    search,
    rollout,
    reward,
    faithful,
    passages: [data.corpus, data.index],
    ...more,
  };
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

interface Report {
  all: readonly CollectedAttempt[];
  file: AttemptsFile;
  questions: readonly Question[];
  options: Options;
  config: Config;
  by: string;
  seconds: number;
  usage?: object;
}

/** Writes the transcripts and says what became of the attempts. */
async function report(
  terminal: Terminal,
  { all, file, questions, options, config, by, seconds, usage }: Report,
): Promise<VerbAnswer> {
  const { out, perQuestion, limit, seed, show } = options;
  const byId = new Map(questions.map((question) => [question.id, question]));
  const { kept, repeated, over } = chooseAttempts(all, byId, { perQuestion, limit, seed });
  const counts = countOutcomes(all);
  terminal.print(
    `${plural(all.length, "attempt")} at ${plural(questions.length, "question")} by ${by}, ${duration(seconds * 1000)}`,
  );
  const rows = counts.map(([outcome, times]) => [`  ${outcome}`, count(times), percent(times / all.length)]);
  for (const line of table([["", "attempts", "share"], ...rows])) terminal.print(line);
  for (const one of examplesOf(all, show)) printExample(terminal, one, byId);
  const solved = new Set(all.flatMap(({ outcome, question }) => (outcome === "scored" ? [question] : []))).size;
  if (kept.length === 0) throw new UserError(nothingScored(all, counts, out));
  const bySearches = [...new Set(kept.map(({ searches }) => searches))]
    .sort((a, b) => a - b)
    .map((searches) => ({ searches, transcripts: kept.filter((one) => one.searches === searches).length }));
  try {
    await writeFileDurably(out, toJsonLines(kept.map((one) => transcriptLine(one, byId))));
  } catch (error) {
    throw writeError(out, error, "Make room, then start the same command again: no attempt is made twice.");
  }
  await file.remove();
  const leftOut = [
    ...(repeated > 0 ? [`${count(repeated)} repeated`] : []),
    ...(over > 0 ? [`${count(over)} over --limit ${limit}`] : []),
  ];
  terminal.print(
    `${plural(kept.length, "transcript")} → ${terminal.colors.cyan(out)}: ${bySearches.map(({ searches, transcripts }) => `${count(transcripts)} with ${plural(searches, "search", "searches")}`).join(", ")}` +
      `${leftOut.length > 0 ? `; left out ${leftOut.join(", ")}` : ""}. ${count(solved)} of ${plural(questions.length, "question")} solved.`,
  );
  printNext(terminal, nextOf(options, config));
  return {
    ...{
      out,
      by,
      questions: questions.length,
      attempts: all.length,
      solved,
      kept: kept.length,
      repeated,
      over,
      bySearches,
      seconds,
    },
    outcomes: Object.fromEntries(counts),
    usage,
  };
}

/** What comes after transcripts, with the settings, questions and passages of this command. */
function nextOf(options: Options, config: Config): [commandLine: string, meaning: string][] {
  const settings = flagsAgain(options, ["preset", "config"]);
  const named = options.model ?? (options.run === undefined ? undefined : config.model.folder);
  const model = named === undefined ? (isUnnamed(config) ? " --model …" : "") : ` --model ${shellWord(named)}`;
  const sources = flagsAgain(options, sourceFlags);
  return [
    [
      `npx sleuth sft${settings} --transcripts ${shellWord(options.out)}${model} --run runs/warm`,
      "learn from them: a warm start",
    ],
    [
      `npx sleuth train${settings} --model runs/warm/best${sources} --run runs/mine`,
      "then reinforcement on the questions",
    ],
  ];
}

function transcriptLine(
  { question: id, attempt, turns }: CollectedAttempt,
  questions: ReadonlyMap<string, Question>,
): object {
  const { question, answers } = questions.get(id) as Question;
  return { id: attempt === 0 ? id : `${id}#${attempt}`, question, answers, turns };
}

function nothingScored(
  all: readonly CollectedAttempt[],
  counts: ReturnType<typeof countOutcomes>,
  out: string,
): string {
  const why = counts.map(([outcome, times]) => `${count(times)} ${outcome}`).join(", ");
  return (
    `None of ${plural(all.length, "attempt")} scored (${why}), so no transcript was written; the attempts are in ${out}.attempts. ` +
    "See with sleuth search --questions whether the index holds the answers. Where it does, let a model attempt them (--model), or reward answers that hold the right one among other words (--set 'reward.weights={\"cover-match\":1}')."
  );
}

/** The first attempts of each way to fail. */
function examplesOf(all: readonly CollectedAttempt[], show: number): CollectedAttempt[] {
  return countOutcomes(all).flatMap(([outcome]) =>
    outcome === "scored" ? [] : all.filter((one) => one.outcome === outcome).slice(0, show),
  );
}

function printExample(
  terminal: Terminal,
  { outcome, question: id, answer }: CollectedAttempt,
  questions: ReadonlyMap<string, Question>,
): void {
  const { question, answers } = questions.get(id) as Question;
  const { dim } = terminal.colors;
  terminal.print(dim(`  ${outcome} (${outcomes[outcome]}), for example ${printable(id)}:`));
  terminal.print(dim(`    question  ${shown(question)}`));
  terminal.print(dim(`    expected  ${answers.map(shown).join(" | ")}`));
  terminal.print(dim(`    answer    ${answer === null ? "none" : shown(answer)}`));
}

function shown(text: string): string {
  const line = oneLine(text);
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

function stopped(terminal: Terminal, out: string): VerbAnswer {
  terminal.print(`Stopped. What was attempted is in ${out}.attempts; the same command goes on from there.`);
  return { status: "interrupted", out, exitStatus: interruptedStatus };
}
