/** @file `sleuth rescore`: the reward lab on the command line. */
import { UserError } from "../errors.js";
import { renderTrace } from "../rollout/trace.js";
import { rescore, type Comparison, type Rescored, type RescoreReport } from "../train/report/rescore.js";
import { withInterrupt } from "./interrupt.js";
import { collect, integer } from "./run-options.js";
import { count, percent, plural, table } from "./terminal/format.js";
import { ProgressBar } from "./terminal/progress-bar.js";
import type { Terminal } from "./terminal/terminal.js";
import { printable } from "../printable.js";
import type { Verb } from "./verb.js";

interface Options {
  reward: string;
  against?: string;
  limit?: number;
  show: number;
  traces: number;
  set?: string[];
}

export const rescoreVerb: Verb = {
  name: "rescore",
  summary: "score a run's recorded attempts with another reward",
  description:
    "Scores the attempts that a run recorded with another reward and says where the two disagree, and which attempts look as if the policy had found a way to earn its reward without answering. Needs neither the model nor the search engine. docs/rewards.md lists the rewards.",
  examples: [
    [
      "sleuth rescore runs/mine --reward cover-match",
      "how much strictness costs: against the rewards it was trained on",
    ],
    ["sleuth rescore runs/mine --reward f1 --against exact-match --traces 3", "two rewards that may be new to the run"],
    ["sleuth rescore runs/mine --reward exact-match=1,format=0.2 --json", "a weighted sum, for programs"],
    ["sleuth rescore runs/mine --reward exact-match --set faithful.textScoring=true", "as the released scorer would"],
    [
      "sleuth rescore runs/mine --reward llm-judge --limit 200 --set reward.judgeUrl=http://127.0.0.1:11434/v1 --set reward.judgeModel=qwen2.5:7b",
      "by a language model; its key comes from SLEUTH_JUDGE_API_KEY",
    ],
  ],
  required: ["reward"],
  configure: (command) => {
    command
      .argument("<run>", "the run folder")
      .option("--reward <name>", "the new reward: a name, or names with weights, as exact-match=1,format=0.2")
      .option("--against <name>", "what to compare with, likewise (default: the rewards that were recorded)")
      .option("--limit <number>", "at most so many attempts, the first ones", integer(1))
      .option("--show <number>", "at most so many disagreements, and examples of each sign under --json", integer(0), 5)
      .option("--traces <number>", "show so many disagreements as whole attempts", integer(0), 1)
      .option("--set <key=value>", "change a setting of the run's rewards; may be repeated", collect);
  },
  async run(terminal, given, [run]) {
    const options = given as unknown as Options;
    const folder = run as string;
    const reward = parseWeights(options.reward, "--reward");
    const against = options.against === undefined ? undefined : parseWeights(options.against, "--against");
    let bar: ProgressBar | undefined;
    const report = await withInterrupt(terminal, "Stopping.", (signal) =>
      rescore(folder, {
        reward,
        against,
        limit: options.limit,
        show: Math.max(options.show, options.traces),
        sets: options.set,
        signal,
        onProgress: (done, total) => {
          bar ??= new ProgressBar(terminal, { label: "Scoring", total, unit: "bytes" });
          bar.update(done);
        },
      }),
    ).finally(() => bar?.stop());
    const names = { before: options.against ?? "recorded", after: options.reward };
    print(terminal, report, fitting(terminal, names), options);
    return { run: folder, reward: names.after, against: names.before, ...withoutRecords(report, options.show) };
  },
};

/** `cover-match`, or `exact-match=1,format=0.2`. */
function parseWeights(text: string, option: string): Record<string, number> {
  const parts = text.split(",").map((part): [string, number] => {
    const [name, weight, ...more] = part.split("=").map((word) => word.trim());
    const value = weight === undefined ? 1 : Number(weight);
    if (name !== "" && weight !== "" && Number.isFinite(value) && more.length === 0) return [name, value];
    throw new UserError(
      `${option} ${text} cannot be read at "${part}". Write a name, or names with weights: ${option} exact-match=1,format=0.2`,
    );
  });
  return Object.fromEntries(parts);
}

interface Names {
  before: string;
  after: string;
}

/** Sums have long names; where those would spoil the table they get short ones and a line that explains them. */
function fitting(terminal: Terminal, { before, after }: Names): Names {
  const most = 24;
  if (before.length <= most && after.length <= most) return { before, after };
  terminal.print(`old: ${before}\nnew: ${after}\n`);
  return { before: "old", after: "new" };
}

function print(terminal: Terminal, report: RescoreReport, names: Names, options: Options): void {
  const { bold, dim } = terminal.colors;
  for (const line of table(comparisonRows(report, names))) terminal.print(line);
  if (report.skipped > 0)
    terminal.note(`${plural(report.skipped, "attempt")} left out, without a question or a recorded reward.`);
  if (report.judgeFailures > 0)
    terminal.note(`${plural(report.judgeFailures, "judgement")} failed; exact match scored instead.`);

  const { all, disagreements, suspicions, suspected } = report;
  terminal.print();
  if (all.disagreements === 0) terminal.print("The two agree on every attempt.");
  else {
    const shown = Math.min(options.show, disagreements.length);
    const which = shown < all.disagreements ? ` The ${shown === 1 ? "largest" : `${shown} largest`}:` : "";
    terminal.print(bold(`They disagree on ${count(all.disagreements)} of ${plural(all.n, "attempt")}.`) + which);
    for (const each of disagreements.slice(0, options.show)) printDisagreement(terminal, each, names);
  }
  terminal.print();
  if (suspected === 0) terminal.print("No attempt shows a sign of hacking.");
  else {
    terminal.print(bold(`${plural(suspected, "attempt")} (${percent(suspected / all.n)}) with signs of hacking:`));
    for (const line of table(suspicionRows(report, names))) terminal.print(line);
    for (const { name, meaning, examples } of suspicions) {
      const [{ place, evidence }] = examples;
      terminal.print(dim(`  ${name}: ${meaning}. For example ${evidence} (${place})`));
    }
  }
  for (const { record, place, before, after } of disagreements.slice(0, options.traces)) {
    terminal.print();
    terminal.print(bold(`${place}: ${names.before} ${score(before)}, ${names.after} ${score(after)}`));
    terminal.print(renderTrace(record, { colors: terminal.colors.isColorSupported }));
  }
}

function comparisonRows({ all, parts }: RescoreReport, names: Names): string[][] {
  const row = (name: string, { n, meanBefore, meanAfter, correlation, disagreements }: Comparison): string[] => [
    name,
    count(n),
    meanBefore.toFixed(3),
    meanAfter.toFixed(3),
    correlation === null ? "–" : correlation.toFixed(2),
    `${count(disagreements)} (${percent(disagreements / n)})`,
  ];
  return [
    ["", "attempts", names.before, names.after, "correlation", "disagree"],
    ...parts.map((part) => row(part.name, part)),
    ...(parts.length > 1 ? [row("all", all)] : []),
  ];
}

function suspicionRows({ all, suspicions }: RescoreReport, { after }: Names): string[][] {
  return [
    ["  sign", "attempts", "share", `${after}, with it`, "without"],
    ...suspicions.map(({ name, attempts, meanReward, meanOthers }) => [
      `  ${name}`,
      count(attempts),
      percent(attempts / all.n),
      meanReward?.toFixed(3) ?? "–",
      meanOthers?.toFixed(3) ?? "–",
    ]),
  ];
}

function printDisagreement(terminal: Terminal, rescored: Rescored, { before, after }: Names): void {
  const { dim, green, red } = terminal.colors;
  const paint = rescored.after > rescored.before ? green : red;
  terminal.print(
    paint(`  ${before} ${score(rescored.before)} → ${after} ${score(rescored.after)}`) + dim(`  ${rescored.place}`),
  );
  terminal.print(`    question  ${inLine(rescored.question)}`);
  terminal.print(`    expected  ${rescored.expected.map(inLine).join(" | ")}`);
  terminal.print(`    answer    ${rescored.answer === null ? dim("none") : inLine(rescored.answer)}`);
}

function score(value: number): string {
  return String(Number(value.toFixed(3)));
}

/** On one line and without escape sequences; what is long is cut. */
function inLine(text: string): string {
  const line = printable(text)
    .replace(/[\s\ufffd]+/g, " ")
    .trim();
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}

/** The report for programs: places instead of whole attempts. */
function withoutRecords(report: RescoreReport, show: number): object {
  const place = <T extends Rescored>({ record, ...rest }: T): Omit<T, "record"> => {
    void record;
    return rest;
  };
  return {
    ...report,
    disagreements: report.disagreements.slice(0, show).map(place),
    suspicions: report.suspicions.map(({ examples, ...rest }) => ({
      ...rest,
      examples: examples.slice(0, show).map(place),
    })),
  };
}
