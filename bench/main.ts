/**
 * @file Speed and memory. `npm run -s bench -- [GROUP…] --json` prints one object per line; without `--json`, a table.
 * Each group is a file of this folder that exports `bench`.
 */
import { Command } from "commander";
import { table } from "../src/cli/terminal/format.js";
import { nearest } from "../src/errors.js";
import type { BenchGroup, BenchLine } from "./bench.js";

const groups: Readonly<Record<string, () => Promise<{ bench: BenchGroup }>>> = {
  engine: () => import("./engine.js"),
  step: () => import("./step.js"),
  search: () => import("./search.js"),
};

const program = new Command("bench")
  .description("Measures speed and memory. Run it alone: everything else on the machine shows in the numbers.")
  .argument("[groups...]", `of ${Object.keys(groups).join(", ")}; without any, all`)
  .option("--json", "one JSON object per line instead of a table")
  .action(async (names: string[], options: { json?: boolean }) => {
    const lines: BenchLine[] = [];
    const report = (line: BenchLine): void => {
      lines.push(line);
      if (options.json) process.stdout.write(`${JSON.stringify(line)}\n`);
    };
    const note = (text: string): void => void process.stderr.write(`${text}\n`);
    for (const name of names.length > 0 ? names : Object.keys(groups)) {
      const load = groups[name];
      if (!load) program.error(unknownGroup(name), { exitCode: 2 });
      note(`bench: ${name}`);
      await (await load()).bench({ report, note });
    }
    if (!options.json) process.stdout.write(`${asTable(lines).join("\n")}\n`);
  });

function unknownGroup(name: string): string {
  const hint = nearest(name, Object.keys(groups));
  return `There is no bench group "${name}". ${hint ? `Did you mean ${hint}?` : `Groups: ${Object.keys(groups).join(", ")}.`}`;
}

function asTable(lines: readonly BenchLine[]): string[] {
  const rows = lines.map(({ name, value, unit, perRaw }) => [
    name,
    value.toPrecision(4),
    unit,
    perRaw === undefined ? "" : perRaw.toPrecision(3),
  ]);
  return table([["measurement", "value", "unit", "per raw rate"], ...rows]);
}

await program.parseAsync();
