/** @file What `sleuth export` hands back: a run's model, a checkpoint, an adapter or any model; and the records of the run that made it. */
import { existsSync } from "node:fs";
import path from "node:path";
import { locateBase } from "../engine/io/adapter-base.js";
import { isAdapterFolder, unreadBesideAdapter } from "../engine/io/adapter-folder.js";
import { pinModel } from "../engine/io/hub/pull.js";
import type { PullOptions } from "../hub/fetch.js";
import { UserError } from "../errors.js";
import { manifestProblem } from "../files/manifest.js";
import { requireWhole, stepsBehind } from "../train/checkpoint.js";
import type { Config } from "../train/config/config.js";
import { modelFolder } from "../train/model-folder.js";
import { readResult, type TestReports } from "../train/result.js";
import { readRunConfig, readStarts, type RunKind, type Start, isRun, runAround } from "../train/run-folder.js";
import { modelOfRun } from "../train/run-models.js";

export interface ExportedModel {
  /** As it was given; of a model of the Hub with its commit. */
  name: string;
  /** The folder or GGUF file of a whole model, or the folder of an adapter. */
  location: string;
  /** What an adapter belongs to. */
  base?: { name: string; location: string };
  /** The folder of the run that made it. */
  run?: string;
}

/**
 * Finds the model, and fetches what is the Hub's.
 * @param given a run folder, a checkpoint, its `policy` folder, an adapter folder, or any model
 * @param baseGiven takes the place of the base that an adapter names
 * @throws UserError when there is nothing, or a checkpoint is damaged
 */
export async function findExportedModel(
  given: string,
  baseGiven: string | undefined,
  options: PullOptions,
): Promise<ExportedModel> {
  const { name, location: place } = await pinModel(given, options);
  const location = await modelAt(modelFolder(place), given);
  const run = runAround(location);
  if (isAdapterFolder(location)) {
    for (const sentence of unreadBesideAdapter(location)) options.onNote?.(sentence);
    const instead = baseGiven === undefined ? undefined : modelFolder(baseGiven);
    return { name, location, base: await locateBase(location, instead, options), run };
  }
  if (baseGiven === undefined) return { name, location, run };
  throw new UserError(
    `${given} holds all weights of a model, so there is no base to put it on. Leave --base out, or name an adapter.`,
  );
}

async function modelAt(place: string, given: string): Promise<string> {
  if (isRun(place)) return modelOfRun(place);
  const policy = path.join(place, "policy");
  if (existsSync(policy) && existsSync(path.join(place, "state.json"))) {
    const problem = await manifestProblem(place);
    if (problem === null) return policy;
    throw new UserError(`The checkpoint ${place} is damaged (${problem}). Name another one, or the run.`);
  }
  if (existsSync(place)) {
    await requireWhole(place);
    return place;
  }
  throw new UserError(
    `There is nothing at ${given}. Name a run folder, a checkpoint, an adapter folder, a model folder or a .gguf file.`,
  );
}

export interface ExportedRun {
  kind: RunKind;
  config: Config;
  /** Steps behind this very model, where its checkpoint says so. */
  step?: number;
  /** Of the whole run; absent when it has not ended. */
  outcome?: { steps: number; seconds: number };
  /** Of this very model: another checkpoint of the run has no scores. */
  before: TestReports | null;
  after: TestReports | null;
  starts: readonly Start[];
  /** Runs whose models it started from, the first one first, for example a supervised warm-up. */
  earlier: readonly Pick<ExportedRun, "kind" | "config" | "step">[];
  /** The model that the first of all these runs started from, as it was named. */
  start: string;
}

/** Reads the run's records. */
export async function readExportedRun(folder: string, location: string): Promise<ExportedRun> {
  const { kind = "train", starts } = await readStarts(folder);
  const config = await readRunConfig(folder);
  const result = await readResult(folder);
  const step = await stepsBehind(location);
  const ended = result !== null && result.status !== "interrupted";
  // Tests are of the best checkpoint, or of the last one where there is none.
  const isTested = ended && (result.best?.step ?? result.steps) === step;
  return {
    kind,
    config,
    step,
    starts,
    ...(ended && { outcome: { steps: result.steps, seconds: result.seconds } }),
    before: isTested ? (result.before ?? null) : null,
    after: isTested ? (result.after ?? null) : null,
    ...(await comingFrom(config.model.folder)),
  };
}

/** Follows runs back to a model that no run made. */
async function comingFrom(start: string): Promise<Pick<ExportedRun, "earlier" | "start">> {
  const earlier: ExportedRun["earlier"][number][] = [];
  const seen = new Set<string>();
  for (let model = start; ;) {
    const run = runAround(model);
    if (run === undefined || seen.has(run)) return { earlier, start: model };
    seen.add(run);
    const { kind = "train" } = await readStarts(run);
    const config = await readRunConfig(run);
    earlier.unshift({ kind, config, step: await stepsBehind(model) });
    model = config.model.folder;
  }
}
