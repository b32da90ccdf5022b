/** @file What `sleuth export` hands back: a run's model, a checkpoint, an adapter or any model; and the run that made it. */
import { existsSync } from "node:fs";
import path from "node:path";
import { readAdapterConfig, isAdapterFolder } from "../engine/io/adapter-folder.js";
import { UserError } from "../errors.js";
import { manifestProblem } from "../train/manifest.js";
import { locateModel, modelFolder } from "../train/model-folder.js";
import { modelOfRun } from "./evaluated-run.js";

export interface ExportedModel {
  /** The folder or GGUF file of a whole model, or the folder of an adapter. */
  location: string;
  /** What an adapter belongs to. */
  base?: BaseModel;
  /** The folder of the run that made it. */
  run?: string;
}

/** A model under the name that the user gave, and where it is. */
export interface BaseModel {
  name: string;
  location: string;
}

/**
 * Finds the model.
 * @param given a run folder, a checkpoint, its `policy` folder, an adapter folder, or any model
 * @param baseGiven takes the place of the base that an adapter names
 * @throws UserError when there is nothing, or a checkpoint is damaged
 */
export async function findExportedModel(given: string, baseGiven?: string): Promise<ExportedModel> {
  const place = modelFolder(given);
  const run = runAround(place);
  const location = await modelAt(place, given);
  if (isAdapterFolder(location)) {
    return { location, base: await findBase(baseGiven ?? (await readAdapterConfig(location)).base, location), run };
  }
  if (baseGiven !== undefined) {
    throw new UserError(
      `${given} holds all weights of a model, so there is no base to put it on. Leave --base out, or name an adapter.`,
    );
  }
  return { location, run };
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
  if (given.startsWith("hf:")) return (await locateModel(given)).model;
  throw new UserError(
    `There is nothing at ${given}. Name a run folder, a checkpoint, an adapter folder, a model folder or a .gguf file.`,
  );
}

async function findBase(name: string, adapter: string): Promise<BaseModel> {
  if (!name.startsWith("hf:") && !existsSync(modelFolder(name))) {
    throw new UserError(
      `${adapter} is an adapter of ${name}, which is not on this machine. Say where its base is with --base.`,
    );
  }
  const { model, base, baseName } = await locateModel(name);
  if (base === undefined) return { name: baseName ?? name, location: model };
  throw new UserError(
    `The base of ${adapter} is ${name}, which is an adapter itself. Merge that one into its base first: sleuth export ${name} --out FOLDER`,
  );
}

function isRun(folder: string): boolean {
  return existsSync(path.join(folder, "run.json"));
}

/** `RUN`, `RUN/best`, `RUN/checkpoints/step-N` or its `policy`. */
function runAround(place: string): string | undefined {
  return [".", "..", "../..", "../../.."].map((up) => path.join(place, up)).find(isRun);
}
