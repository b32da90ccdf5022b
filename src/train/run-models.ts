/** @file The models of run folders: a run's best or last one, the newest run that has one. */
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { UserError } from "../errors.js";
import { findCheckpoint } from "./checkpoint.js";
import { manifestProblem } from "../files/manifest.js";
import { shellWord } from "../printable.js";

/** A run's best model; of a run without validation questions, its last one. */
export async function modelOfRun(run: string): Promise<string> {
  const problem = existsSync(bestOf(run)) ? await manifestProblem(bestOf(run)) : "missing";
  if (problem === null) return bestOf(run);
  const checkpoint = await findCheckpoint(run, () => undefined);
  if (problem !== "missing") {
    const other =
      checkpoint === null ? "Train again." : `Name its last one: --model ${shellWord(checkpoint.policyFolder)}`;
    throw new UserError(`The best checkpoint ${bestOf(run)} is damaged (${problem}). ${other}`);
  }
  if (checkpoint !== null) return checkpoint.policyFolder;
  throw new UserError(
    `${run} has no model yet: it was stopped before its first checkpoint. Go on with it: sleuth train --run ${shellWord(run)} --resume`,
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
