/** @file What `sleuth export` hands back: a run's model, a checkpoint, an adapter or any model; and the run that made it. */
import { existsSync } from "node:fs";
import path from "node:path";
import { isAdapterFolder, readAdapterConfig } from "../engine/io/adapter-folder.js";
import { pinModel, type PullOptions } from "../engine/io/hub/pull.js";
import { UserError } from "../errors.js";
import { manifestProblem } from "../files/manifest.js";
import { locateBase, modelFolder } from "../train/model-folder.js";
import { isRun, modelOfRun, runAround } from "./run-models.js";

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
    const baseName = baseGiven ?? (await readAdapterConfig(location)).base;
    return { name, location, base: await locateBase(location, baseName, options), run };
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
  if (existsSync(place)) return place;
  throw new UserError(
    `There is nothing at ${given}. Name a run folder, a checkpoint, an adapter folder, a model folder or a .gguf file.`,
  );
}
