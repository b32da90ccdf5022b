/** @file `sleuth questions make`: questions from the passages of an index. */
import { rmdir } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../errors.js";
import { printable, shellWord } from "../printable.js";
import { openEngine } from "../search/open.js";
import type { SearchEngine } from "../search/engine.js";
import { documentOf } from "../synthesis/questions/candidate.js";
import { prepareFolder, readStruck, writeFolder } from "../synthesis/questions/folder.js";
import { rejections, type Rejection } from "../synthesis/questions/checks.js";
import { usualPerDocument, type MakeOptions, type Passages } from "../synthesis/questions/corpus.js";
import type { Made } from "../synthesis/questions/finish.js";
import { makeClozeQuestions } from "../synthesis/questions/make.js";
import { makeWrittenQuestions } from "../synthesis/questions/make-written.js";
import { AnsweredRequests } from "../synthesis/questions/writer/answered.js";
import { planWriting } from "../synthesis/questions/writer/plan.js";
import type { Writer, WriterUsage } from "../synthesis/questions/writer/writer.js";
import type { Question } from "../types.js";
import { addEngineOptions, engineSettings } from "./engine-options.js";
import { Interrupted, interruptedStatus, withInterrupt } from "./interrupt.js";
import { addWriterOptions, agreeToPrice, openWriter, type WriterOptions } from "./questions-writer.js";
import { integer } from "./run-options.js";
import { printNext } from "./run-result.js";
import { withEngine } from "./search-engines.js";
import { count, duration, plural, table } from "./terminal/format.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";
import { usageLine } from "./usage-line.js";
import type { Verb, VerbAnswer } from "./verb.js";

interface Options extends WriterOptions {
  out: string;
  count: number;
  perDocument?: number;
  top: number;
  show: number;
}

export const questionsMakeVerb: Verb = {
  name: "make",
  summary: "make questions of the passages of an index",
  description:
    "Makes questions with short answers of the passages of an index, and keeps those whose answer stands in the passage and not in the question, whose passage the engine finds by the question, and that are no near-duplicates; each with its evidence. The folder has train.jsonl, validation.jsonl and test.jsonl, divided by document: what is held out was in no form trained on. " +
    "Without a language model the questions are made by rules, of definitions, defaults, tables, abbreviations and sentences with a gap. They are weak: they ask for what stands in one place in nearly its words. The rules know English. " +
    "With --model a language model writes them, from one passage or from two that share a name; those that it answers without search are left out. Every reply is kept in the folder: after Ctrl-C the same command goes on, and pays for nothing twice.",
  examples: [
    ["sleuth questions make --index index --out questions", "by rules, without a language model"],
    ["sleuth questions make --index index --count 500 --per-document 4 --out questions", "fewer, of more documents"],
    [
      "sleuth questions make --index index --model-url http://127.0.0.1:8080/v1 --model qwen3-8b --out questions",
      "written by a language model behind a server (llama.cpp, vLLM, Ollama, OpenAI, …)",
    ],
    [
      "sleuth questions make --index index --model hf:Qwen/Qwen2.5-3B-Instruct --out questions",
      "by one of this machine",
    ],
    ["sleuth questions review questions", "strike bad ones, in a browser"],
    ["sleuth search --questions questions --index index", "what the index finds of their answers"],
  ],
  required: ["out"],
  configure: (command) => {
    command
      .option("--out <folder>", "write the questions here")
      .option("--count <number>", "most questions", integer(1), 2000)
      .option(
        "--per-document <number>",
        `most questions of a document (default: ${usualPerDocument}, and more where documents are few)`,
        integer(1),
      )
      .option("-k, --top <number>", "the passage must be among so many that the question finds", integer(1), 3)
      .option("--question-seed <number>", "of what is chosen, and of the division", integer(0), 0)
      .option("--show <number>", "questions to show of each kind", integer(0), 1);
    addWriterOptions(command);
    addEngineOptions(command);
  },
  async run(terminal, given) {
    const options = given as unknown as Options;
    const settings = await withEngine(engineSettings(given));
    if (settings.index === undefined)
      throw new UserError("Questions are made of the passages of an index: name it with --index FOLDER.");
    const isNew = await prepareFolder(options.out);
    const started = performance.now();
    let passages: Passages | undefined;
    const engine = await openEngine(
      { ...settings, topK: options.top },
      { onPassages: (source) => (passages ??= source) },
    );
    try {
      if (passages === undefined)
        throw new UserError(`The engine ${engine.name} cannot list its passages. Use an index of bm25 or dense.`);
      const writer = await openWriter(terminal, options);
      try {
        const made = await make(terminal, options, { engine, passages, writer });
        if (made === undefined) return stopped(terminal, writer);
        const seconds = (performance.now() - started) / 1000;
        const { count: most, perDocument, top, questionSeed: seed } = options;
        const asked = { index: settings.index, engine: engine.name, count: most, perDocument, top, seed };
        const usage = writer?.usage();
        await writeFolder(options.out, made.parts, { by: writer?.name ?? "rules", asked, usage, report: made.report });
        if (usage !== undefined) terminal.print(usageLine(usage, options.price));
        return report(terminal, options, settings.index, made, seconds, usage);
      } finally {
        await writer?.close();
      }
    } finally {
      await engine.close();
      // Where nothing was written. A folder with anything in it stays.
      if (isNew) await rmdir(options.out).catch(() => undefined);
    }
  },
};

const labels = { reading: "Reading", finding: "Finding questions", checking: "Checking" };

interface Sources {
  engine: SearchEngine;
  passages: Passages;
  writer?: Writer;
}

/** Undefined after Ctrl-C. */
async function make(terminal: Terminal, options: Options, sources: Sources): Promise<Made | undefined> {
  const { engine, passages, writer } = sources;
  const struck = new Set((await readStruck(options.out)).map(({ id }) => id));
  const { onProgress, stop } = progressOf(terminal, writer === undefined ? "Checking" : "Writing");
  const words = writer === undefined ? "Stopping; nothing is written." : "Stopping; the replies so far are on file.";
  try {
    return await withInterrupt(terminal, words, async (signal) => {
      const common: MakeOptions = {
        ...{ engine, passages, struck, signal, onProgress },
        ...{ count: options.count, perDocument: options.perDocument, k: options.top, seed: options.questionSeed },
      };
      if (writer === undefined) return await makeClozeQuestions(common);
      const { requests = 2 * options.count, twoHops, closedBook } = options;
      const plan = await planWriting({ ...common, requests, twoHops, closedBook });
      stop();
      await agreeToPrice(terminal, plan.estimate, options);
      const answered = await AnsweredRequests.open(path.join(options.out, "answered-requests.jsonl"), writer);
      return await makeWrittenQuestions({ ...common, plan, answered, closedBook });
    });
  } catch (error) {
    if (error instanceof Interrupted) return undefined;
    throw error;
  } finally {
    stop();
  }
}

function progressOf(
  terminal: Terminal,
  checking: string,
): Pick<Required<MakeOptions>, "onProgress"> & { stop: () => void } {
  let progress: { phase: string; bar: ProgressBar } | undefined;
  const stop = (): void => {
    progress?.bar.stop();
    progress = undefined;
  };
  return {
    stop,
    onProgress: (phase, done, total) => {
      if (progress?.phase !== phase) {
        stop();
        const label = phase === "checking" ? checking : labels[phase];
        const unit = phase === "checking" ? "question" : "passage";
        progress = { phase, bar: new ProgressBar(terminal, { label, total, unit }) };
      }
      progress.bar.update(done);
    },
  };
}

function stopped(terminal: Terminal, writer: Writer | undefined): VerbAnswer {
  terminal.print(
    writer === undefined
      ? "Stopped; nothing was written."
      : "Stopped; no questions were written yet. The same command goes on: no reply is asked for twice.",
  );
  return { status: "interrupted", exitStatus: interruptedStatus };
}

function report(
  terminal: Terminal,
  { out, show }: Options,
  index: string,
  { parts, report: told }: Made,
  seconds: number,
  usage?: WriterUsage,
): VerbAnswer {
  const { train, validation, test } = parts;
  const of = (questions: readonly Question[]): string =>
    `${count(questions.length)} of ${plural(new Set(questions.map(({ evidence = [] }) => documentOf(evidence.at(-1)?.id ?? ""))).size, "document")}`;
  terminal.print(
    `${plural(told.kept, "question")} of ${plural(told.documents, "document")} → ${printable(out)}, ${duration(seconds * 1000)}`,
  );
  terminal.print(
    `  ${of(train)} to train on, ${of(validation)} for validation, ${of(test)} for test; documents that repeat each other are on one side (${count(told.groups)} groups)`,
  );
  const kinds = Object.entries(told.kinds).map(([kind, number]) => [`  ${kind}`, count(number)]);
  for (const line of table([["  Kind", "kept"], ...kinds])) terminal.print(line);
  const rejected = Object.entries(told.rejected) as [Rejection, number][];
  terminal.print(
    `${count(told.candidates - told.left)} of ${plural(told.candidates, "candidate")} were tried. Not kept:`,
  );
  for (const [reason, number] of rejected) terminal.print(`  ${count(number).padStart(8)}  ${rejections[reason]}`);
  const shown = new Map<string, number>();
  for (const { kind = "", question, answers } of train) {
    const before = shown.get(kind) ?? 0;
    if (before >= show) continue;
    shown.set(kind, before + 1);
    terminal.print(`  ${terminal.colors.dim(kind)}  ${printable(question)} → ${printable(answers[0])}`);
  }
  const where = `--questions ${shellWord(out)} --index ${shellWord(index)}`;
  printNext(terminal, [
    [`npx sleuth questions review ${shellWord(out)} --index ${shellWord(index)}`, "strike bad questions, in a browser"],
    [`npx sleuth search ${where}`, "what the index finds of their answers"],
    [
      `npx sleuth collect --preset documents ${where} --out transcripts.jsonl --limit 800`,
      "transcripts to learn from, that fit SmolLM2-135M; for another model add --policy script --model …",
    ],
  ]);
  return {
    out,
    questions: { train: train.length, validation: validation.length, test: test.length },
    seconds,
    usage,
    ...told,
  };
}
