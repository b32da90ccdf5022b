/** @file Every algorithm through the whole loop: it learns the tiny task, and a run that stops ends like one that does not. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { algorithmNames } from "../algorithms/named.js";
import type { ConfigInput } from "./config/config.js";
import { readMetrics } from "./metrics-file.js";
import { isMeasuredTime, type MetricLine } from "./metrics.js";
import { tinyConfig, tinyParts } from "./tiny-run.test-support.js";
import { train } from "./train.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-algorithms-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const critic: ConfigInput["critic"] = { learningRate: 0.2 };
const each: [string, ConfigInput["algorithm"], ConfigInput["train"]?][] = [
  ...algorithmNames.map((name): [string, ConfigInput["algorithm"]] => [name, { name }]),
  ["grpo with an adaptive KL in the loss", { name: "grpo", kl: 0.01, klTarget: 0.02, klHorizon: 50 }],
  ["ppo with an adaptive KL in the reward", { name: "ppo", kl: 0.01, klTarget: 0.02, klHorizon: 50 }],
  ["several epochs and updates", { name: "grpo" }, { epochs: 2, updatesPerBatch: 2 }],
  ["several updates of policy and critic", { name: "ppo" }, { epochs: 2, updatesPerBatch: 2 }],
  ["an entropy bonus", { name: "grpo", entropy: 0.001 }],
  ["dual clip and truncated importance sampling", { name: "ppo", dualClip: 3, truncatedRatio: 2 }],
  ["dynamic sampling", { name: "dapo", dynamicSampling: 2 }],
  ["no mask", { name: "ppo", maskRetrieved: false }],
];

const configOf = (
  folder: string,
  algorithm: ConfigInput["algorithm"],
  train: ConfigInput["train"] = {},
): ConfigInput => ({
  ...tinyConfig(folder, { testSize: 0, evalEvery: 4, ...train }),
  algorithm: { groupSize: 4, ...algorithm },
  critic,
});

async function withoutTimes(folder: string): Promise<unknown[]> {
  const lines = await readMetrics(folder);
  return lines.map((line) => Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))));
}

/** Every file of the last checkpoint but the times in its state. */
async function lastCheckpoint(folder: string): Promise<Map<string, string>> {
  const parent = path.join(folder, "checkpoints");
  const latest = (await readFile(path.join(parent, "latest"), "utf8")).trim();
  const names = (await readdir(path.join(parent, latest), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !/^(manifest|state)\.json$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  const files = await Promise.all(names.map((name) => readFile(name, "hex")));
  return new Map(names.map((name, index) => [path.relative(parent, name), files[index]]));
}

async function algorithmState(folder: string): Promise<unknown> {
  const parent = path.join(folder, "checkpoints");
  const latest = (await readFile(path.join(parent, "latest"), "utf8")).trim();
  const { algorithm, drawn } = JSON.parse(await readFile(path.join(parent, latest, "state.json"), "utf8")) as {
    algorithm: unknown;
    drawn: number;
  };
  return { algorithm, drawn };
}

// Concurrently, since a run mostly waits for the disk.
describe.each(each)("%s", (name, algorithm, options) => {
  it.concurrent("learns", async () => {
    const folder = path.join(root, `${name}, learns`);
    await train(configOf(folder, algorithm, { steps: 24, evalEvery: 0, ...options }), tinyParts());
    const lines = await readMetrics(folder);
    const meanOf = (part: MetricLine[]): number =>
      part.reduce((sum, line) => sum + (line["em/train"] ?? 0), 0) / part.length;
    expect(meanOf(lines.slice(-4))).toBeGreaterThan(meanOf(lines.slice(1, 3)) + 0.2);
  });

  it.concurrent("stopped and continued, ends bit for bit like a run that is not", async () => {
    const straight = path.join(root, `${name}, straight`);
    await train(configOf(straight, algorithm, options), tinyParts());
    const stopped = path.join(root, `${name}, stopped`);
    let starts = 0;
    for (let status = "interrupted"; status === "interrupted"; starts++) {
      const controller = new AbortController();
      let events = 0;
      const stopAt = 71 * (starts + 1);
      const onEvent = (): void => {
        if (++events === stopAt) controller.abort(new Error("stop"));
      };
      ({ status } = await train(configOf(stopped, algorithm, options), {
        ...tinyParts(),
        signal: controller.signal,
        onEvent,
      }));
    }
    expect(starts).toBeGreaterThan(1);
    expect(await withoutTimes(stopped)).toEqual(await withoutTimes(straight));
    expect(await algorithmState(stopped)).toEqual(await algorithmState(straight));
    expect(await lastCheckpoint(stopped)).toEqual(await lastCheckpoint(straight));
  });
});

it("saves the critic with the policy, and trains it alone in its head start", async () => {
  const folder = path.join(root, "head start");
  const config = { ...configOf(folder, { name: "ppo" }, { steps: 4 }), critic: { ...critic, headStart: 2 } };
  const parts = tinyParts();
  const before = parts.policy.table().slice();
  const seen: boolean[] = [];
  await train(config, {
    ...parts,
    onEvent: (event) => {
      if (event.kind === "step") seen.push(parts.policy.table().every((value, index) => value === before[index]));
    },
  });
  expect(seen).toEqual([true, true, false, false]);
  const lines = await readMetrics(folder);
  expect(lines.slice(1).map((line) => line["updates/critic"])).toEqual([1, 1, 1, 1]);
  expect(lines.slice(1).map((line) => line["updates/policy"])).toEqual([undefined, undefined, 1, 1]);
  expect([...(await lastCheckpoint(folder)).keys()].some((file) => file.includes(`${path.sep}critic${path.sep}`))).toBe(
    true,
  );
});

it("β rests while the policy does, and moves from the first step after the head start", async () => {
  const folder = path.join(root, "β in the head start");
  const algorithm = { name: "ppo", kl: 0.01, klTarget: 0.02, klHorizon: 50 } as const;
  const config = { ...configOf(folder, algorithm, { steps: 4 }), critic: { ...critic, headStart: 2 } };
  await train(config, tinyParts());
  const lines = (await readMetrics(folder)).slice(1);
  const coefficients = lines.map((line) => line["kl/coefficient"]);
  expect(coefficients.slice(0, 3)).toEqual([0.01, 0.01, 0.01]);
  expect(coefficients[3]).toBeLessThan(0.01);
  // Nothing has moved yet: what is measured is the sampler's rounding.
  expect(lines.map((line) => Math.abs(line.kl ?? NaN) < 1e-6)).toEqual([true, true, true, false]);
});

it("a critic learns what to expect", async () => {
  const folder = path.join(root, "critic");
  await train(configOf(folder, { name: "ppo" }, { steps: 24, evalEvery: 0 }), tinyParts());
  const explained = (await readMetrics(folder)).flatMap((line) => line["critic/explainedVariance"] ?? []);
  expect(explained).toHaveLength(24);
  // The critic's values start at 0, which explains nothing.
  expect(explained[0]).toBeLessThanOrEqual(0);
  expect(Math.max(...explained)).toBeGreaterThan(0.1);
});

it("logs the updates of each step", async () => {
  const folder = path.join(root, "updates");
  await train(configOf(folder, { name: "ppo" }, { steps: 2, epochs: 3, updatesPerBatch: 2 }), tinyParts());
  const [, line] = await readMetrics(folder);
  expect(line["updates/critic"]).toBe(6);
  expect(line["updates/policy"]).toBe(6);
});

it("draws further questions where groups teach nothing, and counts them", async () => {
  const [plain, dynamic] = await Promise.all(
    [0, 3].map(async (dynamicSampling) => {
      const folder = path.join(root, `dynamic-${dynamicSampling}`);
      await train(configOf(folder, { name: "grpo", dynamicSampling }, { steps: 3, evalEvery: 0 }), tinyParts());
      return { state: (await algorithmState(folder)) as { drawn: number }, lines: await readMetrics(folder) };
    }),
  );
  expect(plain.state.drawn).toBe(12);
  expect(dynamic.state.drawn).toBeGreaterThan(12);
  expect(dynamic.lines.slice(1).every((line) => (line["groups/learned"] ?? 0) <= 4)).toBe(true);
});
