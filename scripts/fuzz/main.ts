/**
 * @file `npm run fuzz`: mutated files for every loader, and hostile passages for the sanitizer. Everything is a function of the seed and of a
 * case's number. Ends with 1 when a case came out otherwise than it should.
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import setupTranspiled from "../../test/transpiled-sources.js";
import { collect } from "../../src/cli/run-options.js";
import { table } from "../../src/cli/terminal/format.js";
import { sourceCommit } from "../../src/train/run-folder.js";
import type { Loader } from "./loader.js";
import { loaders } from "./loaders.js";
import { fuzzPassages } from "./passages.js";
import { fuzzServer, serverRssLimitMb } from "./server.js";
import { runWatched, type WatchedResult } from "./watched.js";

interface Options {
  loader?: string[];
  count?: number;
  seed: number;
  from: number;
  hang: number;
  memory: number;
  list?: boolean;
}

/** A row of the table. */
interface Row {
  name: string;
  cases: number;
  read: number;
  refused: number;
  failures: number;
  seconds: number;
}

const kept = fileURLToPath(new URL("../../.cache/fuzz", import.meta.url));

/** Cases of a full run, where neither the command line nor the loader says otherwise. */
const usualCount = 5000;
const passageCount = 10_000;

/** What is tried besides loaders. */
const others: Readonly<Record<string, (options: Options) => Promise<Row[]>>> = { passages, server };

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function fuzzLoader(loader: Loader, { count = usualCount, seed, from, hang, memory }: Options): Promise<Row> {
  const row: Row = { name: loader.name, cases: 0, read: 0, refused: 0, failures: 0, seconds: 0 };
  const started = performance.now();
  let lastSaid = started;
  const onResult = ({ outcome, index, file, message }: WatchedResult): void => {
    row.cases++;
    if (outcome === "read" || outcome === "refused") row[outcome]++;
    else {
      row.failures++;
      if (row.failures <= 10) {
        say(
          `${loader.name}: ${outcome} in case ${index} (${file || "see the case"}): ${message.split("\n").slice(0, 6).join("\n    ")}`,
        );
        say(
          `    again: npm run -s fuzz -- --loader ${loader.name} --seed ${seed} --from ${index} --count ${index + 1}`,
        );
      }
    }
    if (performance.now() - lastSaid < 10_000) return;
    lastSaid = performance.now();
    say(`${loader.name}: ${row.cases} of ${count}, ${row.failures} failures`);
  };
  const watched = {
    loader: loader.name,
    seed,
    count,
    from,
    hangMs: hang * 1000,
    mostMegabytes: memory,
    kept,
    onResult,
  };
  const leftOpen = await runWatched(watched);
  if (leftOpen > 20) {
    row.failures++;
    say(`${loader.name}: ${leftOpen} files were left open`);
  }
  row.seconds = (performance.now() - started) / 1000;
  return row;
}

async function passages({ count = passageCount, seed }: Options): Promise<Row[]> {
  const started = performance.now();
  const { tried, leftOut, failures } = await fuzzPassages({ seed, count });
  for (const { reading, tokenizer, found } of failures.slice(0, 10))
    say(`passages: ${reading} with ${tokenizer}: ${found}`);
  const seconds = (performance.now() - started) / 1000;
  return [
    { name: "passages", cases: tried, read: tried - leftOut, refused: leftOut, failures: failures.length, seconds },
  ];
}

/** A row for each pattern of load; with a small `--count`, a hundredth of it. */
async function server({ count = usualCount, seed }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  const started = performance.now();
  const { patterns } = await fuzzServer({ seed, short: count < usualCount });
  const seconds = (performance.now() - started) / 1000 / patterns.length;
  for (const { name, tried, failures, peakRssMb } of patterns) {
    for (const failure of failures.slice(0, 10)) say(`server, ${name}: ${failure}`);
    const isLarge = peakRssMb > serverRssLimitMb;
    if (isLarge) say(`server, ${name}: the process took ${peakRssMb} MB`);
    const failed = failures.length + (isLarge ? 1 : 0);
    rows.push({
      name: `server: ${name}`,
      cases: tried,
      read: tried - failures.length,
      refused: 0,
      failures: failed,
      seconds,
    });
  }
  return rows;
}

function cellsOf({ name, cases, read, refused, failures, seconds }: Row): string[] {
  return [name, `${cases}`, `${read}`, `${refused}`, `${failures}`, `${seconds.toFixed(0)} s`];
}

async function main(options: Options): Promise<void> {
  const names = [...loaders.map(({ name }) => name), ...Object.keys(others)];
  if (options.list) return void process.stdout.write(`${names.join("\n")}\n`);
  const unknown = options.loader?.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`There is no loader ${unknown}. --list names them all.`);
  const wanted = (name: string): boolean => options.loader?.includes(name) ?? true;
  mkdirSync(kept, { recursive: true });
  // Workers of the loaders start faster from JavaScript.
  await setupTranspiled();
  const rows: Row[] = [];
  for (const loader of loaders.filter(({ name }) => wanted(name))) {
    rows.push(await fuzzLoader(loader, options));
    say(cellsOf(rows.at(-1)!).join("  "));
  }
  for (const [name, run] of Object.entries(others)) if (wanted(name)) rows.push(...(await run(options)));
  const failures = rows.reduce((sum, row) => sum + row.failures, 0);
  const heading = ["", "cases", "read", "refused", "failures", "time"];
  process.stdout.write(`${table([heading, ...rows.map(cellsOf)]).join("\n")}\n`);
  process.stdout.write(`Seed ${options.seed}, commit ${sourceCommit() ?? "unknown"}: ${failures} failures.\n`);
  if (failures > 0)
    process.stdout.write(`The files of cases that failed are in ${path.relative(process.cwd(), kept)}.\n`);
  process.exitCode = failures > 0 ? 1 : 0;
}

await new Command("npm run -s fuzz --")
  .description(
    "Damages files in seeded ways and reads them with every loader; shows hostile passages to the sanitizer.",
  )
  .option("--loader <name>", "only this one; may be repeated", collect)
  .option("--list", "name all loaders")
  .option("--count <number>", `cases of each (default: ${usualCount}; passages: ${passageCount})`, Number)
  .option("--from <number>", "the first case", Number, 0)
  .option("--seed <number>", "another seed, other cases", Number, 1)
  .option("--hang <seconds>", "a case that takes longer hangs", Number, 20)
  .option("--memory <megabytes>", "most memory of a process; a case may add half of it", Number, 1536)
  .addHelpText(
    "after",
    `
Examples:
  $ npm run -s fuzz
      everything, as docs/fuzzing.md records it
  $ npm run -s fuzz -- --loader gguf --loader tokenizer --count 500
      two loaders, 500 cases each
  $ npm run -s fuzz -- --loader gguf --seed 1 --from 4711 --count 4712
      one case again; its files are in .cache/fuzz`,
  )
  .action(main)
  .parseAsync();
