/**
 * @file Speed and memory. `npm run -s bench -- [GROUP[.PART]…] --json` prints one object per line; without `--json`, a table.
 * Each group is a file of this folder that exports what `BenchModule` says.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { table } from "../src/cli/terminal/format.js";
import { nearest } from "../src/errors.js";
import type { BenchLine, BenchModule } from "./bench.js";
import { askedPrecisions, type AskedPrecision } from "./precision.js";

const groups: Readonly<Record<string, () => Promise<BenchModule>>> = {
  engine: () => import("./engine.js"),
  step: () => import("./step.js"),
  memory: () => import("./memory.js"),
  gap: () => import("./gap.js"),
  eval: () => import("./eval.js"),
  rl: () => import("./arithmetic.js"),
  search: () => import("./search.js"),
  documents: () => import("./documents.js"),
  peer: () => import("./peer.js"),
  self: () => import("./self.js"),
};

/** Minutes of work that compare instead of measuring: they run where they are named. */
const onlyByName: readonly string[] = ["self"];

interface Options {
  json?: boolean;
  quick?: boolean;
  against?: string;
  pairs?: number;
  precision: AskedPrecision;
}

const program = new Command("bench")
  .description("Measures speed and memory. Run it alone: everything else on the machine shows in the numbers.")
  .argument(
    "[groups...]",
    `of ${Object.keys(groups).join(", ")}; without any, all; GROUP.PART runs one part where a group has parts`,
  )
  .option("--json", "one JSON object per line instead of a table")
  .option("--against <commit>", "self: the commit to compare with; default: one recorded for each line")
  .option(
    "--pairs <number>",
    "self: how many pairs of measurements; default 10, fewer where one takes minutes",
    (text) => {
      const pairs = Number(text);
      if (!Number.isSafeInteger(pairs) || pairs < 1)
        throw new InvalidArgumentError("It must be a whole number of at least 1.");
      return pairs;
    },
  )
  .addOption(
    new Option(
      "--precision <name>",
      "peer, self, memory: in what a model with an adapter multiplies its frozen weights",
    )
      .choices(askedPrecisions)
      .default("auto"),
  )
  .option("--quick", "one round of little work: shows that the slow groups run; their figures mean nothing")
  .action(async (names: string[], options: Options) => {
    const lines: BenchLine[] = [];
    const report = (line: BenchLine): void => {
      lines.push(line);
      if (options.json) process.stdout.write(`${JSON.stringify(line)}\n`);
    };
    const note = (text: string): void => void process.stderr.write(`${text}\n`);
    const all = Object.keys(groups).filter((name) => !onlyByName.includes(name));
    for (const name of names.length > 0 ? names : all) {
      const [group, ...rest] = name.split(".");
      const load = groups[group];
      if (!load) program.error(unknownGroup(group), { exitCode: 2 });
      const { bench, parts = [], unavailable } = await load();
      const only = rest.length > 0 ? rest.join(".") : undefined;
      if (only !== undefined && !parts.some((part) => isPart(part, only))) {
        program.error(`The bench group "${group}" has no part "${only}". ${partsOf(parts)}`, { exitCode: 2 });
      }
      const reason = unavailable?.();
      if (reason !== undefined) {
        if (names.length > 0) program.error(reason, { exitCode: 1 });
        note(`bench: ${group} is left out. ${reason}`);
        continue;
      }
      note(`bench: ${name}`);
      await bench({
        report,
        note,
        quick: options.quick ?? false,
        against: options.against,
        pairs: options.pairs,
        precision: options.precision,
        wants: (part) => only === undefined || isPart(part, only),
      });
    }
    if (!options.json) process.stdout.write(`${asTable(lines).join("\n")}\n`);
  });

function unknownGroup(name: string): string {
  const hint = nearest(name, Object.keys(groups));
  return `There is no bench group "${name}". ${hint ? `Did you mean ${hint}?` : `Groups: ${Object.keys(groups).join(", ")}.`}`;
}

/** `decode.b8` is a part of `decode`. */
function isPart(part: string, only: string): boolean {
  return `${part}.`.startsWith(`${only}.`);
}

function partsOf(parts: readonly string[]): string {
  return parts.length > 0 ? `Parts: ${parts.join(", ")}.` : "It runs as a whole only.";
}

function asTable(lines: readonly BenchLine[]): string[] {
  const rows = lines.map(({ name, value, unit, perRaw, low, high, precision = "" }) => [
    name,
    value.toPrecision(4),
    unit,
    perRaw === undefined ? "" : perRaw.toPrecision(3),
    low === undefined || high === undefined ? "" : `${low.toPrecision(4)} to ${high.toPrecision(4)}`,
    precision,
  ]);
  return table([["measurement", "value", "unit", "per raw rate", "95 % interval", "precision"], ...rows]);
}

await program.parseAsync();
