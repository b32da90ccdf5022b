/**
 * @file Runs jobs side by side. Ctrl-C asks those under way to write a checkpoint and end, and starts no more; the same
 * command goes on with them.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { finished } from "node:stream/promises";
import { mapConcurrent, onAbort } from "../../src/async.js";
import { duration } from "../../src/cli/terminal/format.js";
import type { Job } from "./jobs.js";

export interface RunOptions {
  /** How many at once. */
  jobs: number;
  /** The file that node runs as `sleuth`. */
  sleuth: string;
  /** Working directory: the root of the repository. */
  root: string;
  /** Takes a line of progress. */
  say: (line: string) => void;
  /** No job starts once it is aborted; see `interruption`. */
  signal?: AbortSignal;
}

export interface Ran {
  /** Jobs that ended with an error. */
  failed: Job[];
  interrupted: boolean;
}

/** Runs those of the jobs that are not done. A job that fails stops no other. */
export async function runJobs(all: readonly Job[], options: RunOptions): Promise<Ran> {
  const { jobs, say, signal } = options;
  const isOver = (): boolean => signal?.aborted === true;
  const queue = all.filter((job) => !job.isDone());
  const clock = new Clock(queue, jobs);
  const failed: Job[] = [];
  let ended = all.length - queue.length;
  await mapConcurrent(queue, jobs, async (job) => {
    if (isOver()) return;
    const started = performance.now();
    const status = await runJob(job, options);
    if (isOver() && status !== 0) return;
    const wallSeconds = (performance.now() - started) / 1000;
    const error = status === 0 ? await kept(job, wallSeconds) : `ended with status ${status}, see ${logOf(job)}`;
    if (error !== undefined) failed.push(job);
    clock.ended(job, wallSeconds);
    ended++;
    const left = ended === all.length ? "" : ` · about ${duration(clock.secondsLeft() * 1000)} left`;
    say(`[${ended}/${all.length}] ${job.label}: ${error ?? job.summary()} · ${duration(wallSeconds * 1000)}${left}`);
  });
  return { failed, interrupted: isOver() };
}

async function kept(job: Job, wallSeconds: number): Promise<string | undefined> {
  try {
    await job.keep(wallSeconds);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Foretells from the expected costs and from what the ended jobs really took. */
export class Clock {
  readonly #jobs: number;
  #expectedLeft: number;
  #expectedEnded = 0;
  #tookSeconds = 0;

  constructor(queue: readonly Pick<Job, "cost">[], jobs: number) {
    this.#jobs = jobs;
    this.#expectedLeft = queue.reduce((sum, { cost }) => sum + cost, 0);
  }

  ended({ cost }: Pick<Job, "cost">, wallSeconds: number): void {
    this.#expectedLeft -= cost;
    this.#expectedEnded += cost;
    this.#tookSeconds += wallSeconds;
  }

  /** Those under way count in full: on average that is as much too long as starting up is too short. */
  secondsLeft(): number {
    const pace = this.#expectedEnded === 0 ? 1 : this.#tookSeconds / this.#expectedEnded;
    return (this.#expectedLeft * pace) / this.#jobs;
  }
}

function logOf(job: Job): string {
  return `${job.folder}.log`;
}

/** Runs one process to its end; what it says lies in a log beside its folder. */
async function runJob(job: Job, { sleuth, root, signal }: RunOptions): Promise<number> {
  await mkdir(dirname(logOf(job)), { recursive: true });
  const log = createWriteStream(logOf(job));
  const [verb, ...words] = job.words;
  const child = spawn(process.execPath, [sleuth, verb, "--json", "--run", job.folder, ...words], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: the terminal's Ctrl-C reaches this process alone, which passes it on once.
    detached: true,
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const release = onAbort(signal, () => interrupt(child));
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => resolve(status ?? 1));
    });
  } finally {
    release();
    log.end();
    await finished(log);
  }
}

function interrupt(child: ChildProcess): void {
  child.kill("SIGINT");
}

/** A signal that the first Ctrl-C aborts; the next ones leave the jobs to themselves and end this process. */
export function interruption(say: (line: string) => void): AbortSignal {
  const controller = new AbortController();
  const first = { at: 0 };
  const onSignal = (): void => {
    if (!controller.signal.aborted) {
      first.at = performance.now();
      say("Runs under way write a checkpoint and end. Press Ctrl-C again to wait no longer.");
      controller.abort();
      // Shells and npm may pass one Ctrl-C on twice.
    } else if (performance.now() - first.at > 500) process.exit(130);
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, onSignal);
  return controller.signal;
}
