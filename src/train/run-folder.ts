/**
 * @file A run is a folder of files, and everything that looks at a run reads only that folder:
 * config.json, run.json, metrics.jsonl, trajectories/, checkpoints/, best/, curve.svg, curve.html, result.json.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { UserError } from "../errors.js";
import { traceToLine } from "../rollout/trace.js";
import type { Group } from "../types.js";
import {
  configDifferences,
  parseConfig,
  withBudgetsOf,
  withPrecision,
  type Config,
  type ConfigInput,
} from "./config/config.js";
import { recoverFolder, removeUnfinished, writeError, writeFileDurably } from "../files/durable.js";
import { parseJson, readOptionalJsonAs, readOptionalText } from "../files/json-file.js";
import { isLockOf, takeLock, type Unlock } from "../files/lock.js";
import { shellWord } from "../printable.js";

const configName = "config.json";

/** An open run; `close` releases its lock. */
interface RunFolder {
  folder: string;
  /** Whether the folder was there before. */
  existed: boolean;
  /** As asked, with the budgets and the precision that were measured when the run was begun. */
  config: Config;
  close(): Promise<void>;
}

/** What made a run: reinforcement (`sleuth train`, `sleuth demo`) or supervised training (`sleuth sft`). */
export type RunKind = "train" | "sft";

/**
 * Works in a run folder under its lock. When nothing came of a new run (a model or file could not be opened), no folder is
 * left behind, so that the corrected command can use it.
 * @param use calls `begin` once the run has begun; `config` has the budgets and the precision that were measured when it was
 */
export async function inRunFolder<T>(
  config: Config,
  kind: RunKind,
  use: (begin: () => void, config: Config) => Promise<T>,
): Promise<T> {
  const { folder } = config.run;
  const opened = await openRun(folder, config, kind);
  let hasBegun = opened.existed;
  try {
    return await use(() => (hasBegun = true), opened.config);
  } finally {
    if (!hasBegun) await emptyRun(folder);
    await opened.close();
    // Only where nothing is in it: another process may be about to take it.
    if (!hasBegun) await rmdir(folder).catch(() => undefined);
  }
}

/** Removes everything of a run but its lock. */
async function emptyRun(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!isLockOf("lock", name)) await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

/** Keys that may change between two starts of one run. */
const changeable = new Set([
  "train.steps",
  "train.stopAfterSeconds",
  "train.checkpointEvery",
  "train.keepCheckpoints",
  "train.saveTrajectories",
  "rollout.maxConcurrent",
  "watch.action",
  "watch.patience",
  "watch.maxRollbacks",
  "reward.judgeUrl",
  "reward.judgeConcurrency",
  "reward.judgePerMinute",
  "reward.judgeTimeoutMs",
  "reward.judgeCache",
  "run.folder",
  "run.threads",
  "run.memory",
  "run.recompute",
]);

/** The configuration with a folder for its run, where none is named. */
export function withRunFolder(config: Config): Config {
  return config.run.folder === "" ? { ...config, run: { ...config.run, folder: newRunFolder() } } : config;
}

/** A name for a new run that none has yet: `runs/2026-11-23-1405-09`, with `-2` for the second of a second. */
function newRunFolder(now = new Date()): string {
  const [date, time] = now.toISOString().split("T");
  const name = path.join("runs", `${date}-${time.slice(0, 5).replace(":", "")}-${time.slice(6, 8)}`);
  for (let count = 1; ; count++) {
    const free = count === 1 ? name : `${name}-${count}`;
    if (!existsSync(free)) return free;
  }
}

/**
 * Creates a run folder, or opens the one that is there to continue it. Of several processes that start one new run, the one with the lock
 * makes it, and the others hear that it is being written.
 * @throws UserError when the folder is something else, belongs to another configuration or is in use
 */
export async function openRun(folder: string, config: Config, kind: RunKind = "train"): Promise<RunFolder> {
  // Before the lock, so that none is put into somebody else's folder.
  await refuseForeign(folder);
  const unlock = await lockRun(folder).catch((error: unknown) => {
    throw writeError(`the run folder ${folder}`, error, "Choose another place with run.folder.");
  });
  try {
    const existed = existsSync(path.join(folder, configName));
    if (existed) {
      await checkSameKind(folder, kind);
      config = await continueRun(folder, config);
    } else await createRun(folder, config);
    for (const part of [".", "checkpoints", "trajectories"]) {
      await mkdir(path.join(folder, part), { recursive: true });
      await removeUnfinished(path.join(folder, part));
    }
    for (const kept of ["best", "healthy"]) await recoverFolder(path.join(folder, kept));
    await recordStart(folder, kind);
    return { folder, existed, config, close: unlock };
  } catch (error) {
    await unlock();
    throw error;
  }
}

/**
 * Lets one process write in a run folder.
 * @throws UserError when a living process does
 */
function lockRun(folder: string): Promise<Unlock> {
  const file = path.join(folder, "lock");
  return takeLock(
    file,
    ({ pid, host }) =>
      new UserError(
        `${folder} is being written by process ${pid} on ${host}. Wait for it, stop it, or choose another run.folder. ` +
          `If that process is surely gone, delete ${file}.`,
      ),
  );
}

/**
 * The configuration a run was started with.
 * @throws UserError when the folder is no run's, and when its configuration is damaged
 */
export async function readRunConfig(folder: string): Promise<Config> {
  const file = path.join(folder, configName);
  await refuseFile(folder);
  const text = await readOptionalText(file);
  if (text === undefined)
    throw new UserError(
      `${folder} is not a run folder: it has no config.json. Give a folder that sleuth train, sft or demo made.`,
    );
  const saved = parseJson(text, file, "Restore it or start a new run.");
  const config = parseConfig(saved, file);
  // Runs from before there was a choice.
  const isOld = !("precision" in ((saved as ConfigInput).run ?? {}));
  return isOld ? { ...config, run: { ...config.run, precision: "float32" } } : config;
}

/** @throws UserError for a path that is a file's: it names the run that the file belongs to, where there is one */
async function refuseFile(folder: string): Promise<void> {
  if ((await stat(folder).catch(() => undefined))?.isFile() !== true) return;
  const around = path.dirname(folder);
  const meant = existsSync(path.join(around, configName)) ? ` The run that it belongs to is ${shellWord(around)}.` : "";
  throw new UserError(
    `${folder} is a file, and a run is a folder. Give the folder that sleuth train, sft or demo made, or for a new run a name that is free.${meant}`,
  );
}

/** The configuration is what makes a folder a run's; it is there whole, or not at all. The lock is held. */
async function createRun(folder: string, config: Config): Promise<void> {
  await refuseForeign(folder);
  try {
    await writeRunConfig(folder, config);
  } catch (error) {
    throw writeError(`the run folder ${folder}`, error, "Choose another place with run.folder.");
  }
}

/** Replaces the configuration of a run, for example by one whose budgets have been measured. */
export function writeRunConfig(folder: string, config: Config): Promise<void> {
  return writeFileDurably(path.join(folder, configName), JSON.stringify(config, null, 2) + "\n");
}

/** @throws UserError for a folder that is no run's and holds more than the lock and what a killed start has left of its configuration */
async function refuseForeign(folder: string): Promise<void> {
  await refuseFile(folder);
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    throw new UserError(`The run folder ${folder} cannot be used: ${error.message}. Choose another with run.folder.`);
  });
  if (names.includes(configName)) return;
  const isOurs = (name: string): boolean => isLockOf("lock", name) || name.startsWith(`${configName}.`);
  if (names.every(isOurs)) return;
  throw new UserError(
    `${folder} exists and is not a run folder. Choose another with run.folder, so that nothing is overwritten.`,
  );
}

async function checkSameKind(folder: string, kind: RunKind): Promise<void> {
  const { kind: saved = "train" } = await readStarts(folder);
  if (saved === kind) return;
  throw new UserError(
    `${folder} holds a run of sleuth ${saved}, which sleuth ${kind} cannot continue. Choose another folder; to train its model further, name that: --model ${shellWord(path.join(folder, "best"))}.`,
  );
}

/** @returns the configuration with the budgets and the precision of the run's first start, where they are `auto` */
async function continueRun(folder: string, asked: Config): Promise<Config> {
  const saved = await readRunConfig(folder);
  const config = withPrecision(withBudgetsOf(asked, saved), saved.run.precision);
  const differences = configDifferences(saved, config).filter((key) => !changeable.has(key));
  if (differences.length > 0) {
    throw new UserError(
      `${folder} holds a run with other settings (${differences.join(", ")}), and continuing it with these would mix two runs. ` +
        "Choose another run.folder, or restore the settings in its config.json to continue it.",
    );
  }
  await writeRunConfig(folder, config);
  return config;
}

/** One entry of `run.json` per start: when, with what command, on what. */
export interface Start {
  startedAt: string;
  command: string[];
  sleuth: string;
  /** Of Sleuth's own repository; null for an installed package, absent in records of older versions. */
  commit?: string | null;
  node: string;
  runtime: string;
  platform: string;
  cpu: string;
  cores: number;
}

interface Starts {
  kind?: RunKind;
  starts: Start[];
}

const startsSchema: z.ZodType<Starts> = z.object({
  kind: z.enum(["train", "sft"]).optional(),
  starts: z.array(
    z.looseObject({
      startedAt: z.string(),
      command: z.array(z.string()),
      sleuth: z.string(),
      commit: z.string().nullable().optional(),
      node: z.string(),
      runtime: z.string(),
      platform: z.string(),
      cpu: z.string(),
      cores: z.number(),
    }),
  ),
});

/**
 * What `run.json` holds; no starts where there is no such file.
 * @throws UserError when it is damaged
 */
export async function readStarts(folder: string): Promise<Starts> {
  const advice =
    'It only records when the run was started: where it cannot be restored, write {"kind":"train","starts":[]} (or "sft") into it.';
  return (await readOptionalJsonAs(path.join(folder, "run.json"), startsSchema, advice)) ?? { starts: [] };
}

async function recordStart(folder: string, kind: RunKind): Promise<void> {
  const { starts: before } = await readStarts(folder);
  const start: Start = {
    startedAt: new Date().toISOString(),
    command: process.argv.slice(1).map((word, index) => (index === 0 ? path.basename(word) : word)),
    sleuth: versionOf("../../package.json"),
    commit: sourceCommit(),
    node: process.version,
    runtime: versionOf("onnxruntime-node/package.json"),
    platform: `${process.platform} ${process.arch}`,
    cpu: os.cpus()[0]?.model ?? "unknown",
    cores: os.availableParallelism(),
  };
  const written: Starts = { kind, starts: [...before, start] };
  await writeFileDurably(path.join(folder, "run.json"), JSON.stringify(written, null, 2) + "\n");
}

function versionOf(packageFile: string): string {
  try {
    return (createRequire(import.meta.url)(packageFile) as { version: string }).version;
  } catch {
    return "unknown";
  }
}

/** src/ or dist/ lie in the root of the repository; an installed package lies inside another repository, or in none. */
const root = fileURLToPath(new URL("../..", import.meta.url));
let knownCommit: { commit: string | null } | undefined;

/** The short id of the commit of Sleuth's own repository that is running, with `+changes` where files differ from it; null outside the repository. */
export function sourceCommit(): string | null {
  knownCommit ??= { commit: commitOf(root) };
  return knownCommit.commit;
}

/** The same for the repository whose root is `folder`. */
export function commitOf(folder: string): string | null {
  const head = git(folder, ["rev-parse", "--show-prefix", "--short=10", "HEAD"]);
  const [prefix, commit] = head?.split("\n") ?? [];
  if (prefix !== "" || !commit) return null;
  return git(folder, ["status", "--porcelain", "--untracked-files=no"]) === "" ? commit : `${commit}+changes`;
}

function git(folder: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", ["--no-optional-locks", ...args], { cwd: folder, encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

/** Writes the groups of a step, one trace per line, to `trajectories/step-N.jsonl`. */
export async function saveTrajectories(folder: string, step: number, groups: readonly Group[]): Promise<void> {
  const file = path.join(folder, "trajectories", `step-${String(step).padStart(6, "0")}.jsonl`);
  const lines = groups.flatMap(({ question, trajectories_G, rewards_G }) =>
    trajectories_G.map(
      (trajectory, index) => traceToLine({ step, question, reward: rewards_G[index], trajectory }) + "\n",
    ),
  );
  try {
    await writeFileDurably(file, lines.join(""));
  } catch (error) {
    throw writeError(file, error, "Make room, then start the same run again: it continues from its last checkpoint.");
  }
}

/** Whether the folder is that of a run. */
export function isRun(folder: string): boolean {
  return existsSync(path.join(folder, "run.json"));
}

/** The run of `RUN/best` or `RUN/checkpoints/step-N/policy`. */
export function runAround(location: string): string | undefined {
  const up = /[\\/](best|checkpoints[\\/]step-\d+[\\/]policy)$/.exec(path.resolve(location));
  if (!up) return undefined;
  const run = path.resolve(location).slice(0, up.index);
  return isRun(run) ? run : undefined;
}
