/** @file One folder of documents taken apart, in a process of its own, by the modules of the checkout that the process runs in. */
import { readFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { json } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import type * as Chunk from "../../src/search/documents/chunk.js";
import type * as Find from "../../src/search/documents/find.js";
import type * as Gather from "../../src/search/documents/gather.js";
import type * as Parser from "../../src/search/documents/parser.js";

export interface DocumentsFigures {
  files: number;
  passages: number;
  seconds: number;
  /** Processor time of all threads and child processes. */
  cpuSeconds: number;
}

const workers = 2;
const { documents, out } = (await json(process.stdin)) as { documents: string; out: string };

async function load<Module>(name: string): Promise<Module> {
  return (await import(pathToFileURL(path.resolve("src/search/documents", `${name}.ts`)).href)) as Module;
}

const { findSources } = await load<typeof Find>("find");
const { gatherPassages } = await load<typeof Gather>("gather");
const { DocumentParser } = await load<typeof Parser>("parser");
const { defaultChunks: chunks } = await load<typeof Chunk>("chunk");

const found = (await findSources([documents])).documents;
const parser = new DocumentParser({ workers, timeoutMs: 120_000 });
const gather = async (): Promise<DocumentsFigures> => {
  await rm(out, { recursive: true, force: true });
  const started = performance.now();
  const cpuBefore = await processorSeconds();
  const { passages, skipped } = await gatherPassages(found, { folder: out, chunks, parser });
  if (skipped.length > 0) throw new Error(`${skipped[0].file} was left out: ${skipped[0].why}`);
  const seconds = (performance.now() - started) / 1000;
  const cpuSeconds = (await processorSeconds()) - cpuBefore;
  return { files: found.length, passages, seconds, cpuSeconds };
};
/** Of this process and, on Linux, of its children that have not ended. */
async function processorSeconds(): Promise<number> {
  const { user, system } = process.cpuUsage();
  let ticks = 0;
  for (const id of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(id)) continue;
    try {
      // Behind the name, which may hold anything: state, parent, … user time and system time, in hundredths of a second.
      const fields = readFileSync(`/proc/${id}/stat`, "latin1")
        .replace(/^.*\) /s, "")
        .split(" ");
      if (Number(fields[1]) === process.pid) ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It has ended meanwhile.
    }
  }
  return (user + system) / 1e6 + ticks / 100;
}

// Loads the readers' libraries and has them compiled.
await gather();
const figures = await gather();
await parser.close();
process.stdout.write(JSON.stringify(figures));
