/** @file What the folder of a run tells about a model that came of it. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { BestScore, TrainState } from "../train/checkpoint.js";
import type { Config } from "../train/config/config.js";
import { readResult, type TestReports } from "../train/result.js";
import { readRunConfig, readStarts, type RunKind, type Start } from "../train/run-folder.js";
import { runAround } from "./run-models.js";

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
  const step = stepOf(location);
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
    earlier.unshift({ kind, config, step: stepOf(model) });
    model = config.model.folder;
  }
}

/** Steps behind a checkpoint, as the file beside it says. */
function stepOf(location: string): number | undefined {
  const files = [path.join(location, "best.json"), path.join(location, "..", "state.json")];
  const file = files.find((name) => existsSync(name));
  if (file === undefined) return undefined;
  return (JSON.parse(readFileSync(file, "utf8")) as BestScore | TrainState).step;
}
