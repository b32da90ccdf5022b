/** @file What a verb of the command line is, and how it is attached: options, examples in `--help`, and one `--json` for all. */
import type { Command } from "commander";
import { Terminal, type Sink } from "./terminal/terminal.js";

/**
 * The object that `--json` prints; `exitStatus` other than 0 ends the process with it. Without anything else in it nothing is printed: the verb
 * has answered already, line by line.
 */
export interface VerbAnswer {
  [key: string]: unknown;
}

export interface Verb {
  name: string;
  /** One line for the list of verbs. */
  summary: string;
  /** What it does, for its own help page. */
  description: string;
  /** Command lines with a word on each, shown under the options. */
  examples: readonly (readonly [commandLine: string, meaning: string])[];
  /** Options that must be given. Checked after misspelt ones, so that those get their suggestion. */
  required?: readonly string[];
  /** Adds arguments and options. */
  configure?(command: Command): void;
  /** @param args the positional arguments, in order; variadic ones as one array */
  run(terminal: Terminal, options: Record<string, unknown>, args: unknown[]): Promise<VerbAnswer>;
}

/** Where a verb writes, and what takes its exit status. */
export interface VerbHost {
  stdout: Sink;
  stderr: Sink;
  finished: (status: number) => void;
}

/** Attaches a verb to the program or to a group of verbs. */
export function addVerb(parent: Command, verb: Verb, { stdout, stderr, finished }: VerbHost): void {
  const command = parent.command(verb.name).summary(verb.summary).description(verb.description);
  verb.configure?.(command);
  command.option("--json", "end stdout with one JSON object; everything for people goes to stderr");
  command.addHelpText("after", `\nExamples:\n${renderExamples(verb)}`);
  command.action(async (...all: unknown[]) => {
    const options = all[all.length - 2] as Record<string, unknown>;
    for (const name of verb.required ?? [])
      if (options[name] === undefined) command.error(`error: required option '--${name}' not specified`);
    const terminal = new Terminal({ json: options.json === true, stdout, stderr });
    // What has failed does not go on.
    const running = verb.run(terminal, options, all.slice(0, -2)).finally(() => terminal.endProgress());
    const { exitStatus = 0, ...answer } = await running;
    if (terminal.json && Object.keys(answer).length > 0) terminal.answer(answer);
    finished(exitStatus as number);
  });
}

function renderExamples(verb: Verb): string {
  return verb.examples.map(([line, meaning]) => `  $ ${line}\n      ${meaning}`).join("\n");
}
