/** @file The `sleuth` command: the list of verbs, and how a failure ends it. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { nextTurn } from "../async.js";
import { jsonLine, printableMessage } from "../printable.js";
import { removeFrozenWeights } from "../engine/io/frozen-weights.js";
import { askVerb } from "./ask.js";
import { benchVerb } from "./bench.js";
import { collectVerb } from "./collect.js";
import { compareVerb } from "./compare.js";
import { dataCheckVerb } from "./data/check.js";
import { dataGetVerb } from "./data/get.js";
import { dataListVerb } from "./data/list.js";
import { dataMixVerb } from "./data/mix.js";
import { demoVerb } from "./demo.js";
import { evalVerb } from "./eval.js";
import { exportVerb } from "./export.js";
import { classify, exitStatus } from "./failure.js";
import { exitOnInterrupt } from "./interrupt.js";
import { serveModelVerb } from "./serve-model.js";
import { serveSearchVerb } from "./serve-search.js";
import { trainVerb } from "./train.js";
import type { Sink } from "./terminal/terminal.js";
import { addVerb, type Verb, type VerbHost } from "./verb.js";
import { indexVerb } from "./index/corpus.js";
import { pretrainVerb } from "./pretrain.js";
import { pullVerb } from "./pull.js";
import { questionsMakeVerb } from "./questions-make.js";
import { questionsReviewVerb } from "./questions-review.js";
import { rescoreVerb } from "./rescore.js";
import { searchVerb } from "./search.js";
import { sftVerb } from "./sft.js";
import { tableVerb } from "./table.js";

const verbs: readonly Verb[] = [
  demoVerb,
  pretrainVerb,
  pullVerb,
  collectVerb,
  sftVerb,
  trainVerb,
  evalVerb,
  tableVerb,
  compareVerb,
  askVerb,
  rescoreVerb,
  exportVerb,
  indexVerb,
  searchVerb,
  benchVerb,
];
const dataVerbs: readonly Verb[] = [dataListVerb, dataGetVerb, dataMixVerb, dataCheckVerb];
const questionVerbs: readonly Verb[] = [questionsMakeVerb, questionsReviewVerb];
const serverVerbs: readonly Verb[] = [serveSearchVerb, serveModelVerb];

/** Runs a command line of this process and sets its exit status. */
export async function main(args: readonly string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", outliveReader);
  exitOnInterrupt();
  process.on("exit", removeFrozenWeights);
  process.exitCode = await runCommandLine(args, process);
}

/** The reader of the output may have left (`sleuth search … | head -1`). That is no reason to fail, and none to stop training. */
function outliveReader(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}

/**
 * Runs one command line.
 * @returns the exit status: 0, 1 (something the user can mend), 2 (wrong usage), 70 (a bug of ours) or 130 (interrupted)
 */
export async function runCommandLine(
  args: readonly string[],
  streams: { stdout: Sink; stderr: Sink },
): Promise<number> {
  let status = 0;
  const finished = (verbStatus: number): void => void (status = verbStatus);
  const program = buildProgram({ stdout: streams.stdout, stderr: streams.stderr, finished });
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    // A Ctrl-C that came while this thread was busy is heard first: signals arrive between two turns.
    for (let turns = 0; turns < 2; turns++) await nextTurn();
    return report(error, args.includes("--json"), streams);
  }
}

function buildProgram(host: VerbHost): Command {
  const program = new Command("sleuth")
    .description("Trains small language models to search, by reinforcement from the final answer alone.")
    .version(version())
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError("Add --help for options and examples.")
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      // Its messages quote arguments.
      writeErr: (text) => host.stderr.write(printableMessage(text)),
    })
    .addHelpText("after", "\nStart with: sleuth demo (a few minutes). Each verb has its own --help with examples.");
  for (const verb of verbs) addVerb(program, verb, host);
  const data = program
    .command("data")
    .summary("question sets: list, get, mix, check")
    .description("Fetches, converts, joins and checks question sets.");
  for (const verb of dataVerbs) addVerb(data, verb, host);
  const questions = program
    .command("questions")
    .summary("make questions of documents")
    .description("Makes questions of documents, and strikes bad ones.");
  for (const verb of questionVerbs) addVerb(questions, verb, host);
  const serve = program.command("serve").summary("start a server").description("Starts a server.");
  for (const verb of serverVerbs) addVerb(serve, verb, host);
  return program;
}

function report(error: unknown, json: boolean, { stdout, stderr }: { stdout: Sink; stderr: Sink }): number {
  const failure = classify(error);
  if (!failure) return 0;
  if (failure.message !== "") stderr.write(`${failure.message}\n`);
  const message = failure.message || printableMessage((error as Error).message);
  if (json) stdout.write(jsonLine({ error: { kind: failure.kind, message } }));
  return exitStatus[failure.kind];
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
