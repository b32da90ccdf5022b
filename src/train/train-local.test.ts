import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { NoneEngine } from "../search/none.js";
import type { Question, Trajectory } from "../types.js";
import type { ConfigInput } from "./config.js";
import { readMetrics } from "./metrics-file.js";
import { isMeasuredTime } from "./metrics.js";
import { train, type TrainOptions } from "./train.js";

const model = await makeTinyModel();
afterAll(() => model.remove());

const questions: Question[] = Array.from({ length: 20 }, (_, index) => ({
  id: `${index}`,
  question: `the country ${index}`,
  answers: ["here"],
}));

/** Something a random model can already vary: how many of its tokens hold an e. */
const reward = (_: Question, { segments, texts }: Trajectory): number => {
  const written = texts.filter((__, index) => segments[index].role === "policy").join("");
  return (written.split("e").length - 1) / Math.max(1, written.length);
};

const config = (folder: string): ConfigInput => ({
  model: { folder: model.folder },
  run: { folder, threads: 2 },
  rollout: { maxTokensPerTurn: 8, maxTokens: 64, maxObservationTokens: 20, maxSearches: 1 },
  algorithm: { groupSize: 4, kl: 0.01 },
  optimizer: { learningRate: 0.01, warmupSteps: 1 },
  train: { steps: 4, questionsPerStep: 3, evalEvery: 2, evalSize: 2, testSize: 0, checkpointEvery: 1 },
});

async function outcome(folder: string): Promise<{ metrics: unknown[]; weights: Buffer }> {
  const metrics = (await readMetrics(folder)).map((line) =>
    Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))),
  );
  return { metrics, weights: await readFile(path.join(folder, "checkpoints/step-000004/policy/model.safetensors")) };
}

it(
  "on the local engine too, a run that stops and continues ends bit for bit like one that does not",
  { timeout: 120_000 },
  async () => {
    const parts: TrainOptions = { search: new NoneEngine(), questions, reward };
    const straight = path.join(model.folder, "straight");
    expect((await train(config(straight), parts)).status).toBe("finished");
    const stopped = path.join(model.folder, "stopped");
    const controller = new AbortController();
    const stopAtStep2: TrainOptions["onEvent"] = (event) => {
      if (event.kind === "progress" && event.phase === "rollout" && event.step === 2)
        controller.abort(new Error("stop"));
    };
    const first = await train(config(stopped), { ...parts, signal: controller.signal, onEvent: stopAtStep2 });
    expect(first).toMatchObject({ status: "interrupted", steps: 2 });
    expect((await train(config(stopped), parts)).status).toBe("finished");
    const [expected, actual] = [await outcome(straight), await outcome(stopped)];
    expect(actual.metrics).toEqual(expected.metrics);
    expect(actual.weights.equals(expected.weights)).toBe(true);
    expect(expected.metrics).toHaveLength(5);
    const gaps = (await readMetrics(straight)).flatMap((line) => line["policy/samplerGapMax"] ?? []);
    expect(gaps.length).toBeGreaterThan(0);
    expect(Math.max(...gaps)).toBeLessThan(1e-4);
  },
);
