/** @file `sleuth data check`: what makes numbers on questions mean less than they seem. */
import { Option } from "commander";
import { isQuestionsFolder, loadQuestions, partsOf } from "../../data/questions.js";
import { checkQuestions, findings, type Finding, type PartCheck } from "../../data/sets/check.js";
import { printable } from "../../printable.js";
import { protocolNames, protocols, type ProtocolName } from "../../prompts/protocol.js";
import type { Question } from "../../types.js";
import { withInterrupt } from "../interrupt.js";
import { integer } from "../run-options.js";
import { count, percent, plural } from "../terminal/format.js";
import { ProgressBar } from "../terminal/progress-bar.js";
import type { Terminal } from "../terminal/terminal.js";
import type { Verb } from "../verb.js";

interface Options {
  trained?: string;
  protocol: ProtocolName;
  show: number;
}

export const dataCheckVerb: Verb = {
  name: "check",
  summary: "find what makes numbers on questions mean less",
  description:
    "Looks through questions for answers that stand in the question or in the prompt, questions that come again, contradictory ones, answers that SQuAD's comparison makes nothing of, and, of validation and test questions, those that are trained on in the same or nearly the same words (runs of three words, Jaccard 0.6). " +
    "It changes nothing. Whether a passage of an index holds an answer at all, `sleuth search --questions` tells; what a model answers without search is an evaluation (docs/evaluation.md).",
  examples: [
    ["sleuth data check questions/nq", "a folder: its parts, and its test questions against its training questions"],
    ["sleuth data check test.jsonl --trained questions/nq", "a file against what a model was trained on"],
    ["sleuth data check questions/nq --protocol search-r1-short", "another prompt"],
  ],
  configure: (command) => {
    command
      .argument("<questions>", "a folder of questions or a file")
      .option(
        "--trained <questions>",
        "compare all of it with these training questions (default: with the folder's own)",
      )
      .addOption(
        new Option("--protocol <name>", "whose prompt is looked at").choices(protocolNames).default("search-r1"),
      )
      .option("--show <number>", "examples to show of each kind", integer(0), 2);
  },
  async run(terminal, given, [source]) {
    const { trained, protocol, show } = given as unknown as Options;
    const parts = await partsIn(source as string);
    const others = trained === undefined ? undefined : await loadQuestions(trained);
    const total = Object.values(parts).reduce(
      (sum, part) => sum + part.length,
      others?.length ?? parts.train?.length ?? 0,
    );
    const bar = new ProgressBar(terminal, { label: "Checking", total, unit: "question" });
    const checks = await withInterrupt(terminal, "Stopping.", (signal) =>
      checkQuestions(parts, others, {
        protocol: protocols[protocol],
        signal,
        onProgress: (done) => bar.update(Math.min(done, total)),
      }),
    ).finally(() => bar.stop());
    for (const check of checks) print(terminal, check, show);
    return {
      questions: source,
      protocol,
      parts: Object.fromEntries(checks.map((check) => [check.part, answerOf(check)])),
    };
  },
};

async function partsIn(source: string): Promise<Record<string, readonly Question[]>> {
  if (!(await isQuestionsFolder(source))) return { train: await loadQuestions(source) };
  const parts = await partsOf(source);
  return Object.fromEntries(
    await Promise.all(parts.map(async (part) => [part, await loadQuestions(source, part)] as const)),
  );
}

function print(terminal: Terminal, { part, questions, found }: PartCheck, show: number): void {
  const named = Object.entries(found) as [Finding, PartCheck["found"][Finding]][];
  const there = named.filter(([, list]) => list.length > 0);
  terminal.print(
    `${terminal.colors.bold(part)}: ${plural(questions, "question")}${there.length === 0 ? ", nothing found" : ""}`,
  );
  for (const [finding, list] of there) {
    const share = percent(list.length / questions);
    terminal.print(`  ${count(list.length).padStart(7)}  ${share.padStart(7)}  ${findings[finding]}`);
    for (const { question, detail } of list.slice(0, show))
      terminal.print(
        terminal.colors.dim(`      ${printable(question.id)}  ${printable(question.question)} (${printable(detail)})`),
      );
  }
}

function answerOf({ questions, found }: PartCheck): object {
  const ids = (Object.entries(found) as [Finding, PartCheck["found"][Finding]][]).map(
    ([finding, list]) =>
      [finding, { count: list.length, ids: list.slice(0, 100).map(({ question }) => question.id) }] as const,
  );
  return { questions, found: Object.fromEntries(ids) };
}
