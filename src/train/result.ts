/** @file What a run ends with: `result.json`. */
import path from "node:path";
import { z } from "zod";
import { reportSchema, type EvaluationReport } from "../eval/evaluation.js";
import { readOptionalJsonAs } from "../files/json-file.js";
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

/** Whether what a run keeps as its best checkpoint is the model that it began with: no evaluation found that training made it better. */
export function isUntrained({ best }: Pick<TrainResult, "best">): boolean {
  return best?.step === 0;
}

/** What is kept, for tables. */
export function bestInWords(best: BestScore | null): string {
  if (best === null) return "none";
  return best.step === 0 ? "none better than the model before training, which is kept" : `step ${best.step}`;
}

/** Writes `result.json`. */
export async function saveResult(result: { folder: string }): Promise<void> {
  await writeFileDurably(path.join(result.folder, "result.json"), JSON.stringify(result, null, 2) + "\n");
}

/** Of `sleuth train` and `sleuth sft`; what only one of them has is optional. */
const testSchema = z.object({ greedy: reportSchema, sampled: reportSchema.optional() }).nullable().optional();
const resultSchema = z.looseObject({
  status: z.enum(["finished", "out-of-time", "interrupted", "stopped"]),
  steps: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
  best: z.object({ step: z.int().nonnegative(), score: z.number() }).nullable(),
  watch: z
    .looseObject({
      rollbacks: z.array(z.looseObject({ step: z.number(), to: z.number(), cause: z.string() })),
      learningRateScale: z.number(),
      stopped: z.string().nullable(),
    })
    .optional(),
  before: testSchema,
  after: testSchema,
  transcripts: z.object({ training: z.number(), validation: z.number(), leftOut: z.number() }).optional(),
  validation: z.object({ before: z.number().nullable(), best: z.number().nullable() }).optional(),
  peakMemoryMb: z.number(),
});

/**
 * The result of a run that ended; null for one that did not.
 * @throws UserError when it is damaged
 */
export async function readResult<Result extends { folder: string } = TrainResult>(
  folder: string,
): Promise<Result | null> {
  const advice = "Delete it: the same command goes on from the run's last checkpoint and writes it again.";
  const result = await readOptionalJsonAs(path.join(folder, "result.json"), resultSchema, advice);
  return result === undefined ? null : ({ ...result, folder } as unknown as Result);
}

/** Largest resident memory of this process so far, in MB. */
export function peakMemoryMb(): number {
  // In kilobytes on every platform, see the documentation of libuv's uv_getrusage.
  return Math.round(process.resourceUsage().maxRSS / 1024);
}
