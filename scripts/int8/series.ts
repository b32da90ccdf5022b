/** @file The runs that compare 8-bit frozen weights with float32 ones, as stages, and what their files say once they are done. */
import { join } from "node:path";
import type { EvaluationRecord, EvaluationReport } from "../../src/eval/evaluation.js";
import { readRecordsFile } from "../../src/eval/folder.js";
import { readMetrics } from "../../src/train/metrics-file.js";
import type { MetricLine } from "../../src/train/metrics.js";
import { readResult, type TrainResult } from "../../src/train/result.js";
import { readRunConfig, readStarts } from "../../src/train/run-folder.js";
import type { SftResult } from "../../src/train/sft/sft.js";
import type { Stage, StageRecord } from "../stages.js";

export type Precision = "float32" | "int8";

interface Size {
  seeds: readonly number[];
  steps: number;
  /** Test questions. */
  test: number;
  /** What differs from the recipe, in the warm-up and in the runs. */
  warmUp: readonly string[];
  train: readonly string[];
}

const sets = (...settings: readonly string[]): string[] => settings.flatMap((setting) => ["--set", setting]);

export const sizes = {
  full: { seeds: [0, 1], steps: 12, test: 240, warmUp: [], train: [] },
  quick: {
    ...{ seeds: [0], steps: 1, test: 8 },
    warmUp: ["--count", "32", "--epochs", "1", ...sets("sft.validation=4")],
    // After such a warm-up no answer is right: without other rewards there would be nothing to learn from.
    train: sets(
      "train.questionsPerStep=2",
      "algorithm.groupSize=4",
      "reward.weights.no-answer=1",
      "reward.weights.no-search=1",
    ),
  },
} as const satisfies Record<string, Size>;

/** Nothing is measured while training but the last step's one question, and the last policy is the one that is kept. */
const trainSettings = ["evalEvery=0", "evalSize=1", "testSize=0", "keepBest=last", "stopAfterSeconds=0"];

const runName = (precision: Precision, seed: number): string => `${precision}-${seed}`;
const testName = (run: string, over: Precision): string => `${run}-over-${over}`;

/** One warm-up; then, seed by seed, a run of each precision, so that an interrupted series compares whole pairs; then the tests. */
export function stagesIn(folder: string, { seeds, steps, test, warmUp, train }: Size): Stage[] {
  const at = (name: string): string => join(folder, name);
  const runs = seeds.flatMap((seed) => (["float32", "int8"] as const).map((precision) => ({ precision, seed })));
  const trained = ({ precision, seed }: { precision: Precision; seed: number }): Stage => {
    const run = at(runName(precision, seed));
    const given = ["--preset", "smollm2", "--model", at(join("warm-up", "best")), "--seed", `${seed}`];
    const settings = sets(`run.precision=${precision}`, ...trainSettings.map((setting) => `train.${setting}`));
    return {
      name: runName(precision, seed),
      makes: runName(precision, seed),
      words: ["train", ...given, "--run", run, "--steps", `${steps}`, ...settings, ...train],
      resume: ["train", "--run", run, "--resume"],
    };
  };
  const tested = (run: string, over: Precision): Stage => {
    const out = `${testName(run, over)}.jsonl`;
    const settings = sets(`run.precision=${over}`, `train.testSize=${test}`);
    const words = ["eval", "--run", at(run), "--modes", "greedy", "--out", at(out), ...settings];
    return { name: testName(run, over), makes: out, words };
  };
  return [
    {
      name: "warm-up",
      makes: "warm-up",
      words: ["sft", "--preset", "smollm2", "--run", at("warm-up"), ...sets("run.precision=float32"), ...warmUp],
      resume: ["sft", "--run", at("warm-up"), "--resume"],
    },
    ...runs.map(trained),
    tested("warm-up", "float32"),
    ...runs.map(({ precision, seed }) => tested(runName(precision, seed), precision)),
    ...seeds.map((seed) => tested(runName("int8", seed), "float32")),
  ];
}

/** A model's greedy test. */
export interface Tested {
  words: readonly string[];
  report: EvaluationReport;
  /** In the order of the questions. */
  attempts: readonly EvaluationRecord[];
}

/** A finished run of reinforcement with its tests. */
export interface SeriesRun {
  precision: Precision;
  seed: number;
  words: readonly string[];
  lines: readonly MetricLine[];
  result: TrainResult;
  /** Over the frozen weights that it was trained over. */
  own: Tested;
  /** Of an 8-bit run: its adapter over the float32 weights, as an export has it. */
  overFloat?: Tested;
}

/** Everything that the page is made of. */
export interface Series {
  /** Of all stages. */
  commits: readonly string[];
  /** As the operating system calls it, with its cores. */
  processors: readonly string[];
  warmUp: { words: readonly string[]; result: SftResult; tested: Tested };
  runs: readonly SeriesRun[];
  questionsPerStep: number;
  groupSize: number;
}

/** @throws Error where a run is not finished, or was tested in another precision than asked */
export async function readSeries(
  folder: string,
  records: Readonly<Record<string, StageRecord>>,
  { seeds, steps, test }: Size,
): Promise<Series> {
  const tested = async (run: string, over: Precision): Promise<Tested> => {
    const { words, answer } = records[testName(run, over)];
    const { greedy, precision } = answer as { greedy: EvaluationReport; precision: Precision };
    if (precision !== over) throw new Error(`internal: ${run} was tested over ${precision} instead of ${over}`);
    const attempts = await readRecordsFile(join(folder, `${testName(run, over)}.jsonl`));
    if (attempts?.length !== test || greedy.n !== test)
      throw new Error(`internal: ${join(folder, run)} was tested on ${attempts?.length} questions instead of ${test}`);
    return { words, report: greedy, attempts };
  };
  const runs: SeriesRun[] = [];
  for (const seed of seeds) {
    for (const precision of ["float32", "int8"] as const) {
      const name = runName(precision, seed);
      const result = await readResult<TrainResult>(join(folder, name));
      const { run, train } = await readRunConfig(join(folder, name));
      if (result?.steps !== steps || run.precision !== precision || train.seed !== seed)
        throw new Error(`internal: ${join(folder, name)} is not the finished run of ${steps} steps that it should be`);
      const lines = (await readMetrics(join(folder, name))).filter(({ step }) => step > 0);
      const overFloat = precision === "int8" ? { overFloat: await tested(name, "float32") } : {};
      const own = await tested(name, precision);
      runs.push({ precision, seed, words: records[name].words, lines, result, own, ...overFloat });
    }
  }
  const folders = ["warm-up", ...seeds.flatMap((seed) => [runName("float32", seed), runName("int8", seed)])];
  const starts = (await Promise.all(folders.map((name) => readStarts(join(folder, name))))).flatMap(
    (run) => run.starts,
  );
  const tests = Object.entries(records).flatMap(([name, { commit }]) => (folders.includes(name) ? [] : [commit]));
  const warmUp = await readResult<SftResult>(join(folder, "warm-up"));
  if (warmUp === null) throw new Error(`internal: ${join(folder, "warm-up")} has not finished`);
  const { train, algorithm } = await readRunConfig(join(folder, folders[1]));
  return {
    commits: [...new Set([...starts.map(({ commit }) => commit ?? "unknown"), ...tests])],
    processors: [...new Set(starts.map(({ cpu, cores }) => `${cpu}, ${cores} cores`))],
    warmUp: { words: records["warm-up"].words, result: warmUp, tested: await tested("warm-up", "float32") },
    runs,
    questionsPerStep: train.questionsPerStep,
    groupSize: algorithm.groupSize,
  };
}
