/** @file What a verb of the command line is, and how it is attached: options, examples in `--help`, and one `--json` for all. */
import { Command } from "commander";
import { Terminal } from "./terminal/terminal.js";

/** The object that `--json` prints; `exitStatus` other than 0 ends the process with it. */
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
  /** Adds arguments and options. */
  configure?(command: Command): void;
  /** @param args the positional arguments, in order; variadic ones as one array */
  run(terminal: Terminal, options: Record<string, unknown>, args: unknown[]): Promise<VerbAnswer>;
}

/** Attaches a verb to the program or to a group of verbs. */
export function addVerb(parent: Command, verb: Verb, finished: (status: number) => void): void {
  const command = parent.command(verb.name).summary(verb.summary).description(verb.description);
  verb.configure?.(command);
  command.option("--json", "end stdout with one JSON object; everything for people goes to stderr");
  command.addHelpText("after", `\nExamples:\n${renderExamples(verb)}`);
  command.action(async (...all: unknown[]) => {
    const options = all[all.length - 2] as Record<string, unknown>;
    const terminal = new Terminal({ json: options.json === true });
    const { exitStatus = 0, ...answer } = await verb.run(terminal, options, all.slice(0, -2));
    if (terminal.json) terminal.answer(answer);
    finished(exitStatus as number);
  });
}

function renderExamples(verb: Verb): string {
  return verb.examples.map(([line, meaning]) => `  $ ${line}\n      ${meaning}`).join("\n");
}
