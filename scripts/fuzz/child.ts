/**
 * @file Runs cases for `main.ts`: `child.mjs LOADER SEED FROM TO MEGABYTES FOLDER`. Before each case it writes its number, after it the result:
 * one line each, written at once, so that the last line says what a process died of.
 */
import { cp, writeFile } from "node:fs/promises";
import { writeSync } from "node:fs";
import path from "node:path";
import { loaders } from "./loaders.js";
import { openFiles, runCases, type CaseResult } from "./run-cases.js";

const [name, seed, from, to, mostMegabytes, kept] = process.argv.slice(2);
const loader = loaders.find((one) => one.name === name);
if (loader === undefined) throw new Error(`internal: no loader ${name}`);

let current = -1;
const tell = (line: object): void => {
  for (let rest = Buffer.from(`${JSON.stringify(line)}\n`); rest.length > 0;) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      // The reader is behind.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
};
// What is thrown where nobody waits for it is a failure of the case under way.
for (const event of ["uncaughtException", "unhandledRejection"] as const)
  process.on(event, (error: unknown) => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    tell({ index: current, outcome: "untyped error", file: "", message: `outside of the call: ${message}` });
    process.exit(3);
  });
// Libraries complain on the console about files that they refuse.
for (const method of ["log", "info", "warn", "error"] as const) console[method] = () => undefined;

const keep = async (result: CaseResult, folder: string): Promise<void> => {
  const place = path.join(kept, `${name}-${seed}-${result.index}`);
  await cp(folder, place, { recursive: true });
  await writeFile(`${place}.txt`, `${result.outcome}: ${result.file}\n${result.message}\n`);
};

let opened = 0;
await runCases(loader, {
  seed: Number(seed),
  from: Number(from),
  to: Number(to),
  mostMegabytes: Number(mostMegabytes),
  onBegin: (index) => {
    if (current < 0) opened = openFiles();
    tell({ begin: (current = index) });
  },
  onResult: tell,
  keep,
});
// Threads that end take their files along a moment later.
for (let turn = 0; turn < 100 && openFiles() > opened; turn++) await new Promise((resolve) => setTimeout(resolve, 100));
tell({ leftOpen: Math.max(0, openFiles() - opened) });
process.exit(0);
