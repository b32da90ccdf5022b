/**
 * @file Checkpoints from which a run continues as if it had never stopped. Question order and sampling are functions of
 * the seed and the step, so besides the policy (weights and optimizer) only a few numbers need keeping.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { AlgorithmState } from "../algorithms/algorithm.js";
import { UserError } from "../errors.js";
import type { Policy } from "../contracts/policy.js";
import { writeError, writeFileDurably, replaceFolder } from "../files/durable.js";
import { readJsonAs } from "../files/json-file.js";
import { hasManifest, manifestProblem, writeManifest } from "../files/manifest.js";
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

const bestSchema = z.object({ step: z.int().nonnegative(), score: z.number() });
/** The watch keeps a healthy policy without a score. */
const keptSchema = bestSchema.partial({ score: true });

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

/** What the algorithm and the watch remember is theirs. JSON has null for metrics that are no numbers. */
const stateSchema = z.looseObject({
  step: z.int().nonnegative(),
  drawn: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
  algorithm: z.record(z.string(), z.unknown()).nullable(),
  best: bestSchema.nullable(),
  watch: z.looseObject({ lines: z.array(z.unknown()), rollbacks: z.array(z.unknown()) }).optional(),
  pending: z.record(z.string(), z.number().nullable()).nullable(),
}) as unknown as z.ZodType<TrainState>;

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
    const read = await readCheckpoint(folder);
    if (typeof read !== "string") return read;
    warn(`The checkpoint ${folder} is damaged (${read}) and is passed over.`);
  }
  if (folders.length === 0) return null;
  throw new UserError(
    `Every checkpoint in ${path.join(runFolder, "checkpoints")} is damaged, so the run cannot continue. ` +
      "Start it again in another folder (run.folder), or delete the checkpoints to begin this one from its first step.",
  );
}

/** The checkpoint, or what is wrong with it. */
async function readCheckpoint(folder: string): Promise<Checkpoint | string> {
  const problem = await manifestProblem(folder);
  if (problem !== null) return problem;
  try {
    const state = await readJsonAs(path.join(folder, "state.json"), stateSchema, "It is passed over.");
    return { folder, policyFolder: path.join(folder, "policy"), state };
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
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
  const kept = await readJsonAs(path.join(folder, "best.json"), keptSchema, "Train again.").catch((error: unknown) => {
    if (error instanceof UserError) return null;
    throw error;
  });
  return kept as BestScore | null;
}

/**
 * Steps behind the model of a checkpoint (`RUN/best`, `RUN/checkpoints/step-N/policy`), as the file beside it says; undefined for other models.
 * @throws UserError when that file is damaged
 */
export async function stepsBehind(model: string): Promise<number | undefined> {
  const files = [path.join(model, "best.json"), path.join(model, "..", "state.json")];
  const file = files.find((name) => existsSync(name));
  if (file === undefined) return undefined;
  const advice = "The checkpoint is damaged: name another one, or train again.";
  return (await readJsonAs(file, z.looseObject({ step: z.int().nonnegative() }), advice)).step;
}

/** `RUN/best` and `RUN/checkpoints/step-N/policy`; the manifest of the second lies above it. */
const modelOfCheckpoint = /[\\/](?:(?:best|healthy)|checkpoints[\\/]step-\d+[\\/](policy))$/;

/**
 * Refuses the model of a run's checkpoint whose files are not those that were written. Other models, copies of a checkpoint's too, are taken as
 * they are.
 * @throws UserError
 */
export async function requireWhole(model: string): Promise<void> {
  const found = modelOfCheckpoint.exec(path.resolve(model));
  if (found === null) return;
  const folder = found[1] === undefined ? model : path.dirname(path.resolve(model));
  const problem = (await hasManifest(folder)) ? await manifestProblem(folder) : null;
  if (problem === null) return;
  throw new UserError(
    `The checkpoint ${folder} is damaged (${problem}). Name another checkpoint of its run, or train again.`,
  );
}
