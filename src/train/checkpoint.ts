/**
 * @file Checkpoints from which a run continues as if it had never stopped. Question order and sampling are functions of
 * the seed and the step, so besides the policy (weights and optimizer) only a few numbers need keeping.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { AlgorithmState } from "../algorithms/algorithm.js";
import { UserError } from "../errors.js";
import type { Policy } from "../contracts/policy.js";
import { writeError, writeFileDurably, replaceFolder } from "../files/durable.js";
import { manifestProblem, writeManifest } from "../files/manifest.js";
import type { Config } from "./config/config.js";
import { truncateMetrics } from "./metrics-file.js";
import type { MetricValues } from "./metrics.js";
import type { WatchState } from "./watch/watch.js";

/** The validation score that chose the best checkpoint. */
export interface BestScore {
  /** Steps trained when it was reached. */
  step: number;
  score: number;
}

/** Everything a run knows besides its policy and its configuration. */
export interface TrainState {
  /** Steps completed; also the place in the learning-rate schedule. */
  step: number;
  /** Questions drawn so far: the data cursor. */
  drawn: number;
  /** Seconds spent training so far, over all starts of the run. */
  seconds: number;
  /** What the algorithm carries from step to step, for example a running-mean baseline. */
  algorithm: AlgorithmState | null;
  best: BestScore | null;
  /** What the collapse watch remembers; absent in runs without one. */
  watch?: WatchState;
  /** Metrics of the last step until it is evaluated and written; a run that stops before that begins with it when it continues. */
  pending: MetricValues | null;
}

/** Where a new run begins: before its first step, with the evaluation of the untrained policy still to come. */
const startState: TrainState = { step: 0, drawn: 0, seconds: 0, algorithm: null, best: null, pending: {} };

/** What a run reports about its checkpoints. */
export type CheckpointEvent =
  | { kind: "checkpoint"; step: number; folder: string }
  | { kind: "best"; best: BestScore; folder: string }
  | { kind: "warning"; message: string };

/** The run that a checkpoint belongs to, of whatever kind. */
interface CheckpointedRun {
  /** The run folder. */
  folder: string;
  config: Pick<Config, "train">;
  parts: { policy: Policy };
  emit: (event: CheckpointEvent) => void;
}

/** A verified checkpoint. */
interface Checkpoint {
  folder: string;
  policyFolder: string;
  state: TrainState;
}

/**
 * Puts the newest whole checkpoint in place: policy, critic and state. `metrics.jsonl` is cut back to it.
 * @returns the state of a new run when there is no checkpoint yet
 * @throws UserError when there are checkpoints but every one is damaged
 */
export async function restoreCheckpoint({
  folder,
  parts: { policy },
  emit,
}: CheckpointedRun): Promise<{ state: TrainState; resumedFrom: number | null }> {
  const checkpoint = await findCheckpoint(folder, (message) => emit({ kind: "warning", message }));
  if (checkpoint === null) {
    await truncateMetrics(folder, -1);
    return { state: startState, resumedFrom: null };
  }
  const { state } = checkpoint;
  await policy.load(checkpoint.policyFolder);
  await policy.critic?.load(path.join(checkpoint.folder, "critic"));
  await truncateMetrics(folder, state.pending === null ? state.step : state.step - 1);
  return { state, resumedFrom: state.step };
}

/**
 * Writes the checkpoint of a run's state and reports it.
 * @returns the step it belongs to
 * @throws UserError when it cannot be written; the checkpoints before it are untouched
 */
export async function writeCheckpoint(run: CheckpointedRun, state: TrainState): Promise<number> {
  const warn = (message: string): void => run.emit({ kind: "warning", message });
  const keep = run.config.train.keepCheckpoints;
  const folder = await saveCheckpoint(run.folder, run.parts.policy, state, { keep, warn });
  run.emit({ kind: "checkpoint", step: state.step, folder });
  return state.step;
}

/**
 * Writes `checkpoints/step-N`, then deletes all but the newest `keep`.
 * @throws UserError when it cannot be written; the checkpoints before it are untouched
 */
export async function saveCheckpoint(
  runFolder: string,
  policy: Policy,
  state: TrainState,
  options: { keep: number; warn: (message: string) => void },
): Promise<string> {
  const parent = path.join(runFolder, "checkpoints");
  const name = `step-${String(state.step).padStart(6, "0")}`;
  const folder = path.join(parent, name);
  try {
    await mkdir(parent, { recursive: true });
    await replaceFolder(folder, async (temporary) => {
      await policy.save(path.join(temporary, "policy"), { optimizer: true });
      await policy.critic?.save(path.join(temporary, "critic"));
      await writeFile(path.join(temporary, "state.json"), JSON.stringify(state) + "\n");
      await writeManifest(temporary);
    });
    await writeFileDurably(path.join(parent, "latest"), name + "\n");
  } catch (error) {
    const advice =
      "Earlier checkpoints are intact: make room or choose another folder, then start the same run again to continue.";
    throw writeError(`the checkpoint ${folder}`, error, advice);
  }
  const outdated = (await checkpointFolders(runFolder)).slice(options.keep);
  for (const old of outdated) {
    await rm(old, { recursive: true, force: true }).catch((error: Error) => {
      options.warn(`The old checkpoint ${old} could not be deleted: ${error.message}`);
    });
  }
  return folder;
}

/**
 * The newest checkpoint that is whole; null when the run has none yet. Damaged ones are passed over with a warning.
 * @throws UserError when there are checkpoints but every one is damaged
 */
export async function findCheckpoint(runFolder: string, warn: (message: string) => void): Promise<Checkpoint | null> {
  const folders = await checkpointFolders(runFolder);
  for (const folder of folders) {
    const problem = await manifestProblem(folder);
    if (problem === null) {
      const state = JSON.parse(await readFile(path.join(folder, "state.json"), "utf8")) as TrainState;
      return { folder, policyFolder: path.join(folder, "policy"), state };
    }
    warn(`The checkpoint ${folder} is damaged (${problem}) and is passed over.`);
  }
  if (folders.length === 0) return null;
  throw new UserError(
    `Every checkpoint in ${path.join(runFolder, "checkpoints")} is damaged, so the run cannot continue. ` +
      "Start it again in another folder (run.folder), or delete the checkpoints to begin this one from its first step.",
  );
}

/** Checkpoint folders, newest first. */
async function checkpointFolders(runFolder: string): Promise<string[]> {
  const parent = path.join(runFolder, "checkpoints");
  if (!existsSync(parent)) return [];
  const names = (await readdir(parent)).filter((name) => /^step-\d+$/.test(name));
  const stepOf = (name: string): number => Number(name.slice("step-".length));
  return names.sort((a, b) => stepOf(b) - stepOf(a)).map((name) => path.join(parent, name));
}

/** Keeps the policy as `best/` and reports it. */
export async function keepPolicy({ folder, parts, emit }: CheckpointedRun, best: BestScore): Promise<BestScore> {
  await saveBest(folder, parts.policy, best);
  emit({ kind: "best", best, folder: path.join(folder, "best") });
  return best;
}

/** Writes the best policy so far to `best/`: a plain model folder without optimizer state, and `best.json` beside its files. */
export async function saveBest(
  runFolder: string,
  policy: Policy,
  best: Pick<BestScore, "step"> & Partial<BestScore>,
  name: "best" | "healthy" = "best",
): Promise<void> {
  const folder = path.join(runFolder, name);
  try {
    await replaceFolder(folder, async (temporary) => {
      await policy.save(temporary, { optimizer: false });
      await writeFile(path.join(temporary, "best.json"), JSON.stringify(best) + "\n");
      await writeManifest(temporary);
    });
  } catch (error) {
    throw writeError(
      `the ${name} checkpoint ${folder}`,
      error,
      "The one before it is intact. Make room, then start the same run again.",
    );
  }
}

/** Copies `best/` as it is. */
export async function copyBest(runFolder: string, name: "healthy"): Promise<void> {
  const folder = path.join(runFolder, name);
  try {
    await replaceFolder(folder, (temporary) => cp(path.join(runFolder, "best"), temporary, { recursive: true }));
  } catch (error) {
    throw writeError(`the ${name} checkpoint ${folder}`, error, "Make room, then start the same run again.");
  }
}

/** What `best/` (or the watch's `healthy/`, which may have no score) holds; null when it is missing or damaged. */
export async function readBest(runFolder: string, name: "best" | "healthy" = "best"): Promise<BestScore | null> {
  const folder = path.join(runFolder, name);
  if (!existsSync(folder) || (await manifestProblem(folder)) !== null) return null;
  return JSON.parse(await readFile(path.join(folder, "best.json"), "utf8")) as BestScore;
}
