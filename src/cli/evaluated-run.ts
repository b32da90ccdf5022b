/** @file Which model `eval` and `ask` speak of: a run's best checkpoint, a model folder, or what is newest. */
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { UserError } from "../errors.js";
import { mergeConfig, type Config } from "../train/config.js";
import { readRunConfig } from "../train/run-folder.js";
import { configOf, configOver, type RunOptions } from "./run-options.js";

export interface ModelOptions extends RunOptions {
  run?: string;
}

/**
 * The configuration with `model.folder` set to the model that is meant. Of a run, everything else is as it was trained
 * with, unless flags say otherwise.
 * @throws UserError when a run has no model yet
 */
export async function configOfModel(options: ModelOptions): Promise<Config> {
  if (options.run === undefined) return configOf(options);
  const best = bestOf(options.run);
  if (!existsSync(best))
    throw new UserError(
      `${options.run} has no best/ model yet: it was stopped before its first evaluation. Go on with it: sleuth train --run ${options.run} --resume`,
    );
  return configOver(mergeConfig(await readRunConfig(options.run), { model: { folder: best } }), options);
}

/** The run in `runs/` that was written last and has a model; undefined when there is none. */
export function newestRun(folder = "runs"): string | undefined {
  if (!existsSync(folder)) return undefined;
  return readdirSync(folder)
    .map((name) => path.join(folder, name))
    .filter((run) => existsSync(path.join(bestOf(run), "config.json")))
    .map((run) => ({ run, changedMs: statSync(bestOf(run)).mtimeMs }))
    .sort((a, b) => b.changedMs - a.changedMs)[0]?.run;
}

function bestOf(run: string): string {
  return path.join(run, "best");
}
