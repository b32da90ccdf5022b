/** @file Cases in processes that may hang, crash or grow: they are watched, ended where need be, and started again behind the case they died of. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CaseResult, Outcome } from "./run-cases.js";

export interface WatchedResult extends Omit<CaseResult, "outcome"> {
  outcome: Outcome | "hang" | "crash";
}

export interface WatchOptions {
  loader: string;
  seed: number;
  count: number;
  /** A case that takes longer hangs. */
  hangMs: number;
  /** A process that grows beyond this is ended; within a case, it may grow by half of it. Megabytes. */
  mostMegabytes: number;
  /** Folder for files of cases that fail. */
  kept: string;
  /** First case. Default 0. */
  from?: number;
  onResult: (result: WatchedResult) => void;
  signal?: AbortSignal;
}

const child = fileURLToPath(new URL("./child.mjs", import.meta.url));

/** @returns files that the loader left open */
export async function runWatched(options: WatchOptions): Promise<number> {
  let leftOpen = 0;
  for (let next = options.from ?? 0; next < options.count;) {
    options.signal?.throwIfAborted();
    const ended = await runBatch(options, next);
    leftOpen = Math.max(leftOpen, ended.leftOpen);
    next = ended.next;
  }
  return leftOpen;
}

/** One process, to its end; `next` is the first case that it did not answer and did not die of. */
async function runBatch(options: WatchOptions, from: number): Promise<{ next: number; leftOpen: number }> {
  const { loader, seed, count, hangMs, mostMegabytes, kept } = options;
  const values = [loader, seed, from, count, mostMegabytes / 2, kept].map(String);
  const started = spawn(process.execPath, ["--max-old-space-size=2048", child, ...values], {
    stdio: ["ignore", "pipe", "pipe"],
    signal: options.signal,
  });
  let [begun, answered, leftOpen, isHung, said] = [-1, from - 1, 0, false, ""];
  started.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-2000)));
  let timer: NodeJS.Timeout | undefined;
  const expect = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      isHung = true;
      started.kill("SIGKILL");
    }, ms);
  };
  // Starting takes longer than a case, and more so on a busy machine.
  expect(hangMs + 60_000);
  createInterface({ input: started.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as { begin?: number; leftOpen?: number } & CaseResult;
    if (line.leftOpen !== undefined) leftOpen = line.leftOpen;
    else if (line.begin !== undefined) begun = line.begin;
    // Thrown before the first case.
    else if (line.index < 0) said += line.message;
    else {
      answered = line.index;
      options.onResult(line);
    }
    expect(hangMs);
  });
  const status = await ended(started);
  clearTimeout(timer);
  options.signal?.throwIfAborted();
  if (begun < 0) throw new Error(`${loader}: its process did not begin (${status}). ${said}`);
  if (begun > answered) {
    const message = isHung ? `no answer within ${hangMs} ms` : `${status}. ${said}`;
    options.onResult({ index: begun, outcome: isHung ? "hang" : "crash", file: "", message });
  }
  return { next: Math.max(begun, answered) + 1, leftOpen };
}

function ended(started: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    started.once("error", (error) => resolve(error.message));
    started.once("close", (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
}
