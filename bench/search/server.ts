/**
 * @file What it costs to search through `/retrieve` instead of in process, with BM25 and 32 callers, three passages a query, as the default
 * opens the engine: over a million passages and over 100,000, with one query in each call, then 16. The clients are a process of their own
 * with 32 kept connections, and share the cores with the server. Rounds alternate between in process and through the server; a share is the
 * median of their ratios.
 */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Random } from "../../src/random.js";
import type { SearchEngine } from "../../src/search/engine.js";
import { openEngine } from "../../src/search/open.js";
import { serve } from "../../src/search/serving/server.js";
import type { BenchContext, BenchGroup } from "../bench.js";
import { buildCase, indexOf } from "./bm25.js";
import { benchCorpus } from "./corpus.js";

export const parts = ["server"];

const callers = 32;
const topK = 3;
const run = promisify(execFile);
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Case {
  /** Of the lines. */
  name: string;
  /** Queries in each call. */
  perCall: number;
  /** How often all queries are asked in one round. */
  repeat: number;
}

/** By the number of passages. */
const cases: readonly { passages: number; cases: readonly Case[] }[] = [
  {
    passages: 1_000_000,
    cases: [
      { name: "server", perCall: 1, repeat: 4 },
      { name: "server.b16", perCall: 16, repeat: 4 },
    ],
  },
  {
    passages: 100_000,
    cases: [
      { name: "server.100k", perCall: 1, repeat: 4 },
      { name: "server.100k.b16", perCall: 16, repeat: 8 },
    ],
  },
];

/**
 * For each case `.inprocess.qps`, `.qps`, `.share`, `.p50` and `.p99` of a call; where there is Python `server.python.qps`: over 100,000
 * passages, 512 queries in a request.
 */
export const bench: BenchGroup = async (context) => {
  const { report, note, quick } = context;
  const folder = await mkdtemp(join(tmpdir(), "sleuth-bench-server-"));
  try {
    for (const { passages, cases: asked } of cases) {
      const corpus = await benchCorpus(quick ? 2_000 : passages, note);
      if (!existsSync(join(indexOf(corpus), "index.json"))) await buildCase(corpus);
      const engine = await openEngine({ engine: "bm25", index: indexOf(corpus) });
      const server = await serve({ engine, port: 0 });
      try {
        for (const each of asked) await measure(each, corpus.queries, engine, server.url, folder, context);
        if (passages > 100_000) continue;
        if (spawnSync("python3", ["--version"]).status !== 0) {
          note("server.python is left out: there is no python3");
          continue;
        }
        const questions = join(folder, "queries.json");
        await writeFile(questions, JSON.stringify(corpus.queries));
        const value = await pythonClient(server.url, questions, quick ? 1 : 4);
        report({ name: "server.python.qps", value, unit: "queries/s" });
      } finally {
        await server.close();
        await engine.close();
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

async function measure(
  { name, perCall, repeat }: Case,
  queries: readonly string[],
  engine: SearchEngine,
  url: string,
  folder: string,
  { report, quick }: BenchContext,
): Promise<void> {
  const calls = callsOf(queries, perCall, quick ? 1 : repeat);
  const file = join(folder, `${name}.json`);
  await writeFile(file, JSON.stringify(calls));
  await inProcess(engine, calls.slice(0, calls.length >> 2));
  const pairs: { inProcess: number; server: ClientFigures }[] = [];
  for (let round = 0; round < (quick ? 1 : 5); round++)
    pairs.push({ inProcess: await inProcess(engine, calls), server: await clients(url, file) });
  const middle = (of: (pair: (typeof pairs)[number]) => number): number => median(pairs.map(of));
  report({ name: `${name}.inprocess.qps`, value: middle((pair) => pair.inProcess), unit: "queries/s" });
  report({ name: `${name}.qps`, value: middle((pair) => pair.server.qps), unit: "queries/s" });
  report({ name: `${name}.share`, value: middle((pair) => pair.server.qps / pair.inProcess), unit: "" });
  report({ name: `${name}.p50`, value: middle((pair) => pair.server.p50), unit: "ms" });
  report({ name: `${name}.p99`, value: middle((pair) => pair.server.p99), unit: "ms" });
}

/** Queries per second of callers in this process. */
async function inProcess(engine: SearchEngine, calls: readonly string[][]): Promise<number> {
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < calls.length) await engine.searchBatch(calls[next++], topK);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  return calls.flat().length / ((performance.now() - started) / 1000);
}

/** All queries so often, in another order each time: two callers should not ask the same at the same time. */
export function callsOf(queries: readonly string[], perCall: number, repeat: number): string[][] {
  const random = new Random(7);
  const all = Array.from({ length: repeat }, () => random.shuffle(queries)).flat();
  return Array.from({ length: Math.ceil(all.length / perCall) }, (_, call) =>
    all.slice(call * perCall, (call + 1) * perCall),
  );
}

interface ClientFigures {
  qps: number;
  /** Of a call. Milliseconds. */
  p50: number;
  p99: number;
}

/** What the clients of `server-clients.mjs` get from a server. `file`: their calls, as JSON. */
export async function clients(url: string, file: string): Promise<ClientFigures> {
  const { stdout } = await run(process.execPath, [beside("server-clients.mjs"), url, file, `${callers}`, `${topK}`]);
  return JSON.parse(stdout) as ClientFigures;
}

/** As Search-R1's trainer: 512 queries in one request. */
async function pythonClient(url: string, questions: string, repeat: number): Promise<number> {
  const args = [url, questions, "--topk", `${topK}`, "--batch", "512", "--repeat", `${repeat}`];
  const { stdout } = await run("python3", [beside("retrieve_client.py"), ...args], { maxBuffer: 1 << 24 });
  return (JSON.parse(stdout) as { qps: number }).qps;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
