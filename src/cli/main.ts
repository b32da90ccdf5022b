/** @file The `sleuth` command: the list of verbs, and how a failure ends it. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { benchVerb } from "./bench.js";
import { classify, exitStatus } from "./failure.js";
import { addVerb, type Verb } from "./verb.js";
import { indexVerb } from "./index-corpus.js";
import { searchVerb } from "./search.js";

const verbs: readonly Verb[] = [indexVerb, searchVerb, benchVerb];
const serverVerbs: readonly Verb[] = [];

/**
 * Runs one command line and sets the exit status of the process: 0, 1 (something the user can mend), 2 (wrong usage),
 * 70 (a bug of ours) or 130 (interrupted).
 */
export async function main(args: readonly string[]): Promise<void> {
  process.exitCode = await run(args);
}

async function run(args: readonly string[]): Promise<number> {
  let status = 0;
  const program = buildProgram((verbStatus) => (status = verbStatus));
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    return report(error, args.includes("--json"));
  }
}

function buildProgram(finished: (status: number) => void): Command {
  const program = new Command("sleuth")
    .description("Trains small language models to search, by reinforcement from the final answer alone.")
    .version(version())
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError("Add --help for options and examples.")
    .addHelpText("after", "\nStart with: sleuth demo (a few minutes). Each verb has its own --help with examples.");
  for (const verb of verbs) addVerb(program, verb, finished);
  const serve = program.command("serve").summary("start a server").description("Starts a server.").exitOverride();
  for (const verb of serverVerbs) addVerb(serve, verb, finished);
  return program;
}

function report(error: unknown, json: boolean): number {
  const failure = classify(error);
  if (!failure) return 0;
  if (failure.message !== "") process.stderr.write(`${failure.message}\n`);
  const message = failure.message || (error as Error).message;
  if (json) process.stdout.write(`${JSON.stringify({ error: { kind: failure.kind, message } })}\n`);
  return exitStatus[failure.kind];
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
