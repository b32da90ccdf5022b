import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { createLocalPolicy } from "../policy/local/local.js";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { NoneEngine } from "../search/controls.js";
import type { Question, Trajectory } from "../types.js";
import type { ConfigInput } from "./config/config.js";
import { readMetrics } from "./metrics-file.js";
import { isMeasuredTime } from "./metrics.js";
import { train, type TrainOptions } from "./train.js";

const model = await makeTinyModel(1, { maxPositions: 128 });
afterAll(() => model.remove());

/** Longer than 48 tokens: a group's prompt is computed once in training too. */
const questions: Question[] = Array.from({ length: 20 }, (_, index) => ({
  id: `${index}`,
  question: `the country ${index}, which lies between two others`,
  answers: ["here"],
}));

/** Something a random model can already vary: how many of its tokens hold an e. */
const reward = (_: Question, { segments, texts }: Trajectory): number => {
  const written = texts.filter((__, index) => segments[index].role === "policy").join("");
  return (written.split("e").length - 1) / Math.max(1, written.length);
};

const withKl: ConfigInput["algorithm"] = { kl: 0.01 };
/** Everything at once: a critic, KL in the reward with a controller, an entropy bonus, several updates. */
const withCritic: ConfigInput["algorithm"] = {
  name: "ppo",
  kl: 0.01,
  klTarget: 0.01,
  entropy: 0.001,
  truncatedRatio: 2,
};

type Start = ConfigInput["model"] & { precision?: "int8" };

const config = (folder: string, { precision, ...start }: Start, algorithm: ConfigInput["algorithm"]): ConfigInput => ({
  model: start,
  run: { folder, threads: 2, precision },
  rollout: { maxTokensPerTurn: 8, maxTokens: 96, maxObservationTokens: 20, maxSearches: 1 },
  algorithm: { groupSize: 4, ...algorithm },
  critic: { learningRate: 0.01 },
  optimizer: { learningRate: 0.01, warmupSteps: 1 },
  train: {
    ...{ steps: 4, questionsPerStep: 3, testSize: 0, checkpointEvery: 1 },
    ...{ evalEvery: 2, evalSize: 2, evalModes: "greedy", keepBest: "greedy" },
  },
});

/** An adapter that changes something. */
async function trainedAdapter(): Promise<string> {
  const folder = path.join(model.folder, "adapter");
  const policy = await createLocalPolicy({ model: model.folder, threads: 1, adapt: "lora" });
  const tokens_T = policy.tokenizer.encode(" the capital of the country is here");
  const weights_T = new Float32Array(tokens_T.length).fill(0.1);
  const datum = { tokens_T, sampledMask_T: new Uint8Array(tokens_T.length).fill(1), weights_T };
  await policy.forwardBackward([datum], { kind: "cross_entropy" });
  const adam = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
  await policy.optimStep(adam);
  await policy.save(folder, { optimizer: false });
  await policy.close();
  return folder;
}

async function outcome(folder: string): Promise<{ metrics: unknown[]; policy: Map<string, Buffer> }> {
  const metrics = (await readMetrics(folder)).map((line) =>
    Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))),
  );
  const saved = path.join(folder, "checkpoints/step-000004");
  const names = (await readdir(saved, { recursive: true }))
    .filter((name) => /\.\w+$/.test(name) && !/state|manifest/.test(name))
    .sort();
  const files = await Promise.all(names.map((name) => readFile(path.join(saved, name))));
  return { metrics, policy: new Map(names.map((name, index) => [name, files[index]])) };
}

it.each([
  ["all weights", () => ({ folder: model.folder }), "model.safetensors", withKl],
  [
    "a new adapter",
    () => ({ folder: model.folder, adapt: "lora" as const, loraRank: 4 }),
    "adapter_model.safetensors",
    withKl,
  ],
  [
    "an adapter that was trained before",
    async () => ({ folder: await trainedAdapter() }),
    "adapter_model.safetensors",
    withKl,
  ],
  [
    "a new adapter over 8-bit weights",
    () => ({ folder: model.folder, adapt: "lora" as const, loraRank: 4, precision: "int8" as const }),
    "channel_ranges.safetensors",
    withKl,
  ],
  ["all weights and a critic", () => ({ folder: model.folder }), "model.safetensors", withCritic],
  [
    "a new adapter and a critic",
    () => ({ folder: model.folder, adapt: "lora" as const, loraRank: 4 }),
    "adapter_model.safetensors",
    withCritic,
  ],
])(
  "on the local engine too, a run that trains %s, stops and continues ends bit for bit like one that does not",
  async (name, start, weights, algorithm) => {
    const parts: TrainOptions = { search: new NoneEngine(), questions, reward };
    const from = await start();
    const straight = path.join(model.folder, `${name}, straight`);
    expect((await train(config(straight, from, algorithm), parts)).status).toBe("finished");
    const stopped = path.join(model.folder, `${name}, stopped`);
    const controller = new AbortController();
    const stopAtStep2: TrainOptions["onEvent"] = (event) => {
      if (event.kind === "progress" && event.phase === "rollout" && event.step === 2)
        controller.abort(new Error("stop"));
    };
    const first = await train(config(stopped, from, algorithm), {
      ...parts,
      signal: controller.signal,
      onEvent: stopAtStep2,
    });
    expect(first).toMatchObject({ status: "interrupted", steps: 2 });
    expect((await train(config(stopped, from, algorithm), parts)).status).toBe("finished");
    const [expected, actual] = [await outcome(straight), await outcome(stopped)];
    expect(actual.metrics).toEqual(expected.metrics);
    expect([...expected.policy.keys()]).toEqual(
      expect.arrayContaining([`policy/${weights}`, "policy/optimizer.safetensors"]),
    );
    for (const [file, bytes] of expected.policy) expect(actual.policy.get(file)?.equals(bytes), file).toBe(true);
    expect([...expected.policy.keys()].some((file) => file.startsWith("critic/"))).toBe(algorithm === withCritic);
    expect(expected.metrics).toHaveLength(5);
    const lines = await readMetrics(straight);
    const gaps = lines.flatMap((line) => line["policy/samplerGapMax"] ?? []);
    expect(gaps.length).toBeGreaterThan(0);
    expect(Math.max(...gaps)).toBeLessThan(1e-4);
    // The reference is the policy that the run began with: none is nearer to it than that one.
    const kl = lines.flatMap((line) => line.kl ?? []);
    expect(kl[0]).toBeLessThan(1e-9);
    expect(kl[3]).toBeGreaterThan(1e-5);
  },
  120_000,
);
