/**
 * @file Load patterns against `sleuth serve search` as a process: clients that do not read, half requests, slow headers, strangers, bodies that
 * are no searches, clients that leave, and SIGTERM in the middle of it. Meanwhile a client that behaves asks, and must be answered.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "../../src/random.js";
import { RawClient, headOf } from "../../src/http/server/raw-client.test-support.js";
import { sleuth } from "../../test/run-sleuth.js";

export interface ServerPattern {
  name: string;
  /** Requests and connections. */
  tried: number;
  /** What went wrong, in words: an answer that should not be, none in time, a client that behaves and was not answered. */
  failures: string[];
  /** Of the server's process, sampled; 0 where the system does not tell. MB. */
  peakRssMb: number;
}

/** The most memory that the server's process may take under any pattern. MB. */
export const serverRssLimitMb = 1_024;

/** Longest time for the answer to a client that behaves. Milliseconds. */
const patienceMs = 10_000;

const entry = fileURLToPath(new URL("../../test/sleuth.mjs", import.meta.url));
const small = { queries: ["w1 common"], topk: 3 };
/** As many passages as one request may ask for: some 20 MB. */
const large = { queries: Array.from({ length: 256 }, (_, query) => `common w${query}`), topk: 100 };

/** An answer of about 700 kB. */
const middling = { queries: large.queries.slice(0, 8), topk: 100 };

/** @param short a hundredth of the load, and no waiting for the server's deadlines: seconds instead of minutes */
export async function fuzzServer({ seed, short = false }: { seed: number; short?: boolean }): Promise<{
  patterns: ServerPattern[];
}> {
  const folder = await mkdtemp(path.join(tmpdir(), "sleuth-fuzz-server-"));
  try {
    const index = await indexIn(folder, new Random(seed), short ? 200 : 3_000);
    const server = await start(index);
    const ended = once(server.process, "close");
    const patterns: ServerPattern[] = [];
    try {
      for (const [name, run] of Object.entries(loads))
        patterns.push(await pattern(name, server, run, { random: new Random(seed), short }));
    } finally {
      if (server.process.exitCode === null) server.process.kill("SIGKILL");
      await ended;
    }
    return { patterns };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Server {
  process: ChildProcess;
  port: number;
}

interface Context {
  server: Server;
  random: Random;
  short: boolean;
  /** Opens a connection, which is ended with the pattern. */
  open: (options?: { reads?: boolean }) => RawClient;
  /** Records an answer that should have been another one. */
  check: (what: string, status: number, allowed: readonly number[]) => void;
}

type Load = (context: Context) => Promise<void>;

const loads: Readonly<Record<string, Load>> = {
  "unread answers": async ({ server, short, open }) => {
    for (let one = 0; one < (short ? 4 : 64); one++) open({ reads: false }).search(large);
    await sleep(short ? 300 : 5_000);
    if (!short) await until(async () => /unsent_bytes 0\n/.test(await metrics(server)), 60_000);
  },
  "unread small answers, pipelined": async ({ short, open }) => {
    for (let one = 0; one < (short ? 4 : 300); one++) {
      const client = open({ reads: false });
      for (let request = 0; request < 10; request++) client.search(middling);
    }
    await sleep(short ? 300 : 10_000);
  },
  "half-sent bodies": async ({ short, open, check }) => {
    const clients = Array.from({ length: short ? 50 : 1_200 }, () => open().search(small, { sent: 9 }));
    await sleep(100);
    if (short) return;
    for (const client of clients) check("a half body", await client.status(30_000), [408, 0]);
  },
  "large half-sent bodies": async ({ short, open }) => {
    const body = JSON.stringify({ queries: Array.from({ length: short ? 50 : 750 }, () => "x".repeat(20_000)) });
    for (let one = 0; one < (short ? 2 : 40); one++) open().search(body, { sent: body.length - 1 });
    await sleep(short ? 100 : 3_000);
  },
  "endless chunks of one byte": async ({ short, open }) => {
    const chunks = "1\r\nx\r\n".repeat(short ? 1_000 : 100_000);
    for (let one = 0; one < (short ? 2 : 40); one++)
      open()
        .send(headOf({ "transfer-encoding": "chunked" }))
        .send(chunks)
        .send(chunks);
    await sleep(short ? 100 : 3_000);
  },
  "slow headers": async ({ short, open, check }) => {
    const clients = Array.from({ length: short ? 50 : 500 }, () => open().send("POST /retrieve HTTP/1.1\r\nhost: a"));
    for (let turn = 0; turn < (short ? 3 : 13); turn++) {
      await sleep(short ? 20 : 1_000);
      for (const client of clients) client.send("a");
    }
    if (!short) for (const client of clients) check("slow headers", await client.status(5_000), [408, 0]);
  },
  "idle connections": async ({ short, open }) => {
    for (let one = 0; one < (short ? 100 : 3_000); one++) {
      open();
      if (one % 100 === 0) await sleep(5);
    }
    await sleep(100);
  },
  strangers: async ({ random, short, open, check }) => {
    const headers: Record<string, string>[] = [
      { host: "rebound.example" },
      { host: "localhost.rebound.example:8000" },
      { origin: "http://localhost:3000" },
      { origin: "null" },
      { "content-type": "text/plain" },
      { "content-type": "" },
      { "content-type": "application/x-www-form-urlencoded" },
      { "content-encoding": "gzip" },
    ];
    for (let one = 0; one < (short ? 16 : 1_000); one++)
      check("a stranger", await statusOf(open().search(small, { headers: random.choice(headers) })), [403, 415]);
  },
  "bodies that are no searches": async ({ random, short, open, check }) => {
    for (let one = 0; one < (short ? 40 : 3_000); one++)
      check("a body", await statusOf(open().search(spoiled(JSON.stringify(small), random))), [200, 400]);
  },
  "many requests in one write": async ({ short, open, check }) => {
    const client = open();
    const count = short ? 20 : 500;
    for (let one = 1; one <= count; one++) client.search(small, { headers: { "x-request-id": `${one}` } });
    check("the first of many", await statusOf(client), [200]);
    await client.until(new RegExp(`x-request-id: ${count}\r\n`), patienceMs);
  },
  "clients that leave": async ({ random, short, open }) => {
    for (let one = 0; one < (short ? 20 : 500); one++) {
      const client = open().search(random.choice([small, short ? small : large]));
      await sleep(random.next() * 10);
      client.end();
    }
  },
  // The last: it ends the server.
  "SIGTERM under load": async ({ server, short, open, check }) => {
    const half = Array.from({ length: 20 }, () => open().search(small, { sent: 9 }));
    const asking = Array.from({ length: short ? 20 : 200 }, () => open().search(small));
    await sleep(5);
    server.process.kill("SIGTERM");
    const late = Array.from({ length: 20 }, () => open().search(small));
    for (const client of asking) check("a search before SIGTERM", await statusOf(client), [200, 503]);
    for (const client of half) check("a half body before SIGTERM", await statusOf(client), [503]);
    for (const client of late) check("a search after SIGTERM", await statusOf(client), [200, 503, 0]);
    await until(async () => server.process.exitCode !== null, patienceMs);
    check("the process", server.process.exitCode ?? -1, [0]);
  },
};

async function pattern(
  name: string,
  server: Server,
  run: Load,
  { random, short }: { random: Random; short: boolean },
): Promise<ServerPattern> {
  const clients: RawClient[] = [];
  const failures: string[] = [];
  let peakRssMb = 0;
  const sample = setInterval(() => (peakRssMb = Math.max(peakRssMb, rssMb(server.process))), 20);
  const behaving = name.startsWith("SIGTERM") ? undefined : behave(server, failures);
  const open = (options?: { reads?: boolean }): RawClient => {
    const client = new RawClient(server.port, options);
    clients.push(client);
    return client;
  };
  const check = (what: string, status: number, allowed: readonly number[]): void => {
    if (!allowed.includes(status)) failures.push(`${what}: ${status} instead of ${allowed.join(" or ")}`);
  };
  try {
    await run({ server, random, short, open, check });
  } catch (error) {
    failures.push((error as Error).message);
  }
  const asked = (await behaving?.()) ?? 0;
  clearInterval(sample);
  for (const client of clients) client.end();
  if (peakRssMb > serverRssLimitMb) failures.push(`${Math.round(peakRssMb)} MB of memory`);
  return { name, tried: clients.length + asked, failures, peakRssMb: Math.round(peakRssMb) };
}

/** A client that behaves, one search after another. @returns ends it, and says how often it has asked */
function behave({ port }: Server, failures: string[]): () => Promise<number> {
  let asked = 0;
  let isOver = false;
  const body = JSON.stringify(small);
  const headers = { "content-type": "application/json" };
  const asking = (async () => {
    while (!isOver) {
      asked++;
      const signal = AbortSignal.timeout(patienceMs);
      const status = await fetch(`http://127.0.0.1:${port}/retrieve`, { method: "POST", headers, body, signal }).then(
        async (response) => (await response.arrayBuffer(), `${response.status}`),
        (error: unknown) => String(error),
      );
      if (status !== "200") failures.push(`a client that behaves: ${status}`);
      await sleep(20);
    }
  })();
  return async () => {
    isOver = true;
    await asking;
    return asked;
  };
}

async function indexIn(folder: string, random: Random, passages: number): Promise<string> {
  const corpus = path.join(folder, "corpus.jsonl");
  const index = path.join(folder, "index");
  const words = (): string => Array.from({ length: 140 }, () => `w${random.integer(300)}`).join(" ");
  const lines = Array.from({ length: passages }, (_, id) =>
    JSON.stringify({ id: `${id}`, title: `Passage ${id}`, text: `common ${words()} ${"字".repeat(60)}` }),
  );
  await writeFile(corpus, lines.join("\n"));
  const { status, stderr } = await sleuth(["index", corpus, "--out", index]);
  if (status !== 0) throw new Error(stderr);
  return index;
}

async function start(index: string): Promise<Server> {
  const child = spawn(process.execPath, [entry, "serve", "search", "--index", index, "--port", "0"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [line] = (await Promise.race([once(child.stdout, "data"), once(child, "close")])) as [unknown];
  const port = /:(\d+)\/retrieve/.exec(String(line))?.[1];
  if (port === undefined) throw new Error(`The server has not started: ${String(line)}`);
  return { process: child, port: Number(port) };
}

/** A body with a few bytes changed, taken out or repeated. */
function spoiled(body: string, random: Random): string {
  const signs = '{}[]":,\\0-e \u0000é'.split("");
  let text = body;
  for (let change = 0; change < 3; change++) {
    const place = random.integer(text.length);
    const sign = random.choice(["", random.choice(signs), text.slice(0, place)]);
    text = text.slice(0, place) + sign + text.slice(place + 1);
  }
  return text;
}

const statusOf = (client: RawClient): Promise<number> => client.status(patienceMs);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not reached within ${timeoutMs} ms`);
    await sleep(20);
  }
}

async function metrics({ port }: Server): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

/** 0 where the system does not tell. */
function rssMb({ pid }: ChildProcess): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
