/** @file One run of `sleuth search --questions`, in a process of its own. */
import { json } from "node:stream/consumers";
import { runCommandLine } from "../../src/cli/main.js";

export interface QuestionsFigures {
  /** From the command line to its answer; starting Node and loading modules are left out. */
  seconds: number;
  /** Of processor time, all threads together: other work on the machine disturbs it less. */
  cpuSeconds: number;
  /** hit@10. */
  hits: number;
}

interface Answer {
  engines: { hits: Record<string, { value: number }> }[];
}

const { questions, index } = (await json(process.stdin)) as { questions: string; index: string };
let printed = "";
const streams = { stdout: { write: (text: string) => (printed += text) }, stderr: process.stderr };
const started = performance.now();
const cpu = process.cpuUsage();
const status = await runCommandLine(["search", "--questions", questions, "--index", index, "--json"], streams);
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
const cpuSeconds = (user + system) / 1e6;
if (status !== 0) throw new Error(`sleuth search has ended with ${status}`);
const { engines } = JSON.parse(printed) as Answer;
const figures: QuestionsFigures = { seconds, cpuSeconds, hits: engines[0].hits["10"].value };
process.stdout.write(JSON.stringify(figures));
