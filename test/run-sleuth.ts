/** @file Runs the command line as a process and collects what it says. */
import { spawn, type ChildProcess, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { runCommandLine } from "../src/cli/main.js";

const entry = fileURLToPath(new URL("./sleuth.mjs", import.meta.url));

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface SleuthOptions {
  cwd?: string;
  /** What comes through a pipe on its standard input; without it, there is none. */
  input?: string;
  /** Sees the process as soon as it runs, for signals and servers. */
  onStart?: (child: ChildProcess) => void;
}

/** Runs `sleuth …args` without colour, from any folder. */
export function sleuth(args: readonly string[], options: SleuthOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
  child.stdin?.end(options.input);
  const ended: Ended = { status: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (ended.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (ended.stderr += text));
  options.onStart?.(child);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve({ ...ended, status }));
  });
}

/** The same without a process of its own: fast, for command lines that neither change folder nor wait. */
export async function sleuthHere(args: readonly string[]): Promise<Ended> {
  const ended: Ended = { status: null, stdout: "", stderr: "" };
  const stdout = { write: (text: string) => (ended.stdout += text) };
  const stderr = { write: (text: string) => (ended.stderr += text) };
  ended.status = await runCommandLine(args, { stdout, stderr });
  return ended;
}

/** The one object that `--json` leaves on the last line of stdout. */
export function lastJson<T>({ stdout, stderr }: Ended): T {
  const last = stdout.trimEnd().split("\n").at(-1);
  if (!last?.startsWith("{")) throw new Error(`stdout does not end with a JSON object.\n${stdout}\n${stderr}`);
  return JSON.parse(last) as T;
}
