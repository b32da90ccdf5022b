/** @file What a run ends with: `result.json`. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { EvaluationReport } from "../eval/evaluation.js";
import type { BestScore } from "./checkpoint.js";
import { writeFileDurably } from "../files/durable.js";
import type { WatchState } from "./watch/watch.js";

/** The evaluations of one policy on the test questions. */
export interface TestReports {
  greedy: EvaluationReport;
  /** At temperature 1; absent when `train.evalModes` is greedy. */
  sampled?: EvaluationReport;
}

export interface TrainResult {
  /** The run folder. */
  folder: string;
  /**
   * `interrupted`: the same command continues it, and the reports after training are missing. `stopped`: the collapse watch ended it, and
   * `watch.stopped` says why.
   */
  status: "finished" | "out-of-time" | "interrupted" | "stopped";
  /** Steps completed, over all starts. */
  steps: number;
  /** Seconds of training, evaluations left out. */
  seconds: number;
  /** The checkpoint that was kept; its model folder is `best/`. */
  best: BestScore | null;
  /** What the collapse watch did; absent where it did nothing. */
  watch?: Pick<WatchState, "rollbacks" | "learningRateScale" | "stopped">;
  before: TestReports | null;
  after: TestReports | null;
  /** Largest resident memory of the process, in MB. */
  peakMemoryMb: number;
}

/** Writes `result.json`. */
export async function saveResult(result: { folder: string }): Promise<void> {
  await writeFileDurably(path.join(result.folder, "result.json"), JSON.stringify(result, null, 2) + "\n");
}

/** The result of a run that ended; null for one that did not. */
export async function readResult<Result extends { folder: string } = TrainResult>(
  folder: string,
): Promise<Result | null> {
  const file = path.join(folder, "result.json");
  return existsSync(file) ? { ...(JSON.parse(await readFile(file, "utf8")) as Result), folder } : null;
}

/** Largest resident memory of this process so far, in MB. */
export function peakMemoryMb(): number {
  // In kilobytes on every platform, see the documentation of libuv's uv_getrusage.
  return Math.round(process.resourceUsage().maxRSS / 1024);
}
