/** @file Where the time of the demo's training step goes, what it takes in memory, and what a critic adds to it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { mean } from "../src/eval/intervals.js";
import { atlasDemo } from "../src/recipes/search-r1/recipe.js";
import { mergeConfig } from "../src/train/config/config.js";
import type { MetricName, MetricValues } from "../src/train/metrics.js";
import { train } from "../src/train/train.js";
import type { BenchContext, BenchGroup } from "./bench.js";
import { ppoOverGrpo } from "./step/ppo-over-grpo.js";

/** The first steps build sessions and are left out. */
const warmUp = 2;
const measured = 6;

export const parts = ["demo", "ppoOverGrpo"];

export const bench: BenchGroup = async (context) => {
  if (context.wants("demo")) await demoStep(context);
  if (context.wants("ppoOverGrpo")) await ppoOverGrpo(context);
};

async function demoStep({ report, note }: BenchContext): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "sleuth-bench-"));
  const steps: MetricValues[] = [];
  try {
    const settings = { steps: warmUp + measured, testSize: 0, evalEvery: 0, evalSize: 1, checkpointEvery: 1000 };
    const config = mergeConfig(atlasDemo, { train: settings, run: { folder: path.join(folder, "run") } });
    await train(config, {
      onEvent: (event) => {
        if (event.kind !== "step") return;
        note(`bench: step ${event.step}/${event.steps}`);
        if (event.step > warmUp) steps.push(event.metrics);
      },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const meanOf = (name: MetricName): number => mean(steps.map((metrics) => metrics[name] ?? 0));
  const seconds = meanOf("time/step");
  report({ name: "step.seconds", value: seconds, unit: "s" });
  report({ name: "step.rolloutShare", value: meanOf("time/rollout") / seconds, unit: "share" });
  report({ name: "step.trainShare", value: meanOf("time/train") / seconds, unit: "share" });
  report({ name: "step.outsideRuntimeShare", value: meanOf("time/outsideRuntime"), unit: "share" });
  report({ name: "step.peakMemory", value: steps.at(-1)?.["memory/peak"] ?? 0, unit: "MB" });
}
