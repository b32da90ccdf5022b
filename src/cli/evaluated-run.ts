/** @file Which model `eval` and `ask` speak of: a run's best checkpoint, a model folder, or what is newest. */
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { UserError } from "../errors.js";
import { findCheckpoint } from "../train/checkpoint.js";
import { mergeConfig, type Config } from "../train/config/config.js";
import { manifestProblem } from "../files/manifest.js";
import { readRunConfig } from "../train/run-folder.js";
import { configOf, configOver, type RunOptions } from "./run-options.js";

export interface ModelOptions extends RunOptions {
  run?: string;
}

/**
 * The configuration with `model.folder` set to the model that is meant. Of a run, everything else is as it was trained
 * with, unless flags say otherwise.
 * @throws UserError when a run has no model yet, or its best one is damaged
 */
export async function configOfModel(options: ModelOptions): Promise<Config> {
  if (options.run === undefined) return configOf(options);
  const saved = await readRunConfig(options.run);
  const folder = options.model ?? (await modelOfRun(options.run));
  return configOver(mergeConfig(saved, { model: { folder } }), options);
}

/** A run's best model; of a run without validation questions, its last one. */
export async function modelOfRun(run: string): Promise<string> {
  const problem = existsSync(bestOf(run)) ? await manifestProblem(bestOf(run)) : "missing";
  if (problem === null) return bestOf(run);
  const checkpoint = await findCheckpoint(run, () => undefined);
  if (problem !== "missing") {
    const other = checkpoint === null ? "Train again." : `Name its last one: --model ${checkpoint.policyFolder}`;
    throw new UserError(`The best checkpoint ${bestOf(run)} is damaged (${problem}). ${other}`);
  }
  if (checkpoint !== null) return checkpoint.policyFolder;
  throw new UserError(
    `${run} has no model yet: it was stopped before its first checkpoint. Go on with it: sleuth train --run ${run} --resume`,
  );
}

/** The run in `runs/` that was written last and has a model; undefined when there is none. */
export function newestRun(folder = "runs"): string | undefined {
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder)
    .map((name) => path.join(folder, name))
    .flatMap((run) => {
      const kept = [bestOf(run), path.join(run, "checkpoints", "latest")].find((file) => existsSync(file));
      return kept === undefined ? [] : [{ run, changedMs: statSync(kept).mtimeMs }];
    })
    .sort((a, b) => b.changedMs - a.changedMs)[0]?.run;
}

function bestOf(run: string): string {
  return path.join(run, "best");
}
