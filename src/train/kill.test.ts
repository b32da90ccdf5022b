/** @file Kill −9 at random moments: whatever it hits, the run continues and ends like one that was never killed. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sourceArguments } from "../../test/transpiled-sources.js";
import { Random } from "../random.js";
import { findCheckpoint } from "./checkpoint.js";
import { readMetrics } from "./metrics-file.js";
import { isMeasuredTime } from "./metrics.js";
import { tabularPolicy } from "./tabular-policy.test-support.js";
import { tinyConfig, tinyParts } from "./tiny-run.test-support.js";
import { train } from "./train.js";

const child = sourceArguments("train/killed-run.test-support.ts");

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-kill-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Starts the run as a process, and kills it so many milliseconds after it has completed so many steps. */
function startAndKill(folder: string, steps: number, delayMs: number): Promise<string> {
  const running = spawn(process.execPath, [...child, folder], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let timer: NodeJS.Timeout | undefined;
  running.stderr.on("data", (data: Buffer) => (output += data.toString()));
  running.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    if (output.split("\n").length > steps) timer ??= setTimeout(() => running.kill("SIGKILL"), delayMs);
  });
  return new Promise((resolve) => {
    running.on("close", () => {
      clearTimeout(timer);
      resolve(output);
    });
  });
}

async function outcome(folder: string): Promise<{ metrics: unknown[]; table: Float32Array; step: number | undefined }> {
  const checkpoint = await findCheckpoint(folder, () => undefined);
  const policy = tabularPolicy({ habits: [] });
  if (checkpoint !== null) await policy.load(checkpoint.policyFolder);
  const metrics = (await readMetrics(folder)).map((line) =>
    Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))),
  );
  return { metrics, table: policy.table(), step: checkpoint?.state.step };
}

it("resumes bit for bit after being killed at random moments", { timeout: 120_000 }, async () => {
  const straight = path.join(root, "straight");
  await train(tinyConfig(straight, { steps: 16 }), tinyParts());
  const killed = path.join(root, "killed");
  const random = new Random(Number(process.env.SLEUTH_KILL_SEED ?? 1), "kill");
  let kills = 0;
  for (let start = 0; start < 40; start++) {
    const output = await startAndKill(killed, 1 + random.integer(6), random.integer(30));
    if (output.includes("finished")) break;
    if (!/^(\d+\n)+$/.test(output)) throw new Error(`the run stopped by itself: ${output}`);
    kills++;
  }
  expect(kills).toBeGreaterThanOrEqual(3);
  expect(await outcome(killed)).toEqual(await outcome(straight));
});
