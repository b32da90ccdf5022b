/** @file The precision of a run: chosen once, kept, and the same for whatever goes on with it. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { channelRangesFile } from "../engine/io/adapter-folder.js";
import { makeTinyModel } from "../policy/local/tiny-model.test-support.js";
import { byteTokenizer } from "../policy/testing.js";
import { NoneEngine } from "../search/controls.js";
import { fittingOf, questionTexts, trajectoryTexts } from "./calibration.js";
import { parseConfig, type ConfigInput } from "./config/config.js";
import { evaluate } from "./evaluate.js";
import type { Notice } from "./notices.js";
import { openTask } from "./open-task.js";
import { loadSplits } from "./questions.js";
import { readRunConfig } from "./run-folder.js";
import { tinyConfig, tinyParts, tinyQuestions } from "./tiny-run.test-support.js";
import { train } from "./train.js";

const root = mkdtempSync(path.join(os.tmpdir(), "sleuth-precision-"));
const model = await makeTinyModel(1, { maxPositions: 128 });
afterAll(async () => {
  await model.remove();
  rmSync(root, { recursive: true });
});

describe("a run whose precision is auto", () => {
  let folder: string;
  let count = 0;
  beforeEach(() => {
    folder = path.join(root, `run-${count++}`);
  });
  const parts = (precision?: "int8" | "float32") => ({
    ...tinyParts(),
    policy: { ...tinyParts().policy, precision },
    onEvent: () => undefined,
  });
  const config = (steps: number, precision?: "int8" | "float32"): ConfigInput => {
    const input = tinyConfig(folder, { steps, testSize: 0 });
    return { ...input, run: { ...input.run, precision } };
  };
  const saved = async () => (await readRunConfig(folder)).run.precision;

  it("keeps what was chosen when it began, and refuses another with the key", async () => {
    await train(config(1), parts("int8"));
    expect(await saved()).toBe("int8");
    expect(readFileSync(path.join(folder, "curve.html"), "utf8")).toMatch(/precision of frozen weights.*int8/s);
    await expect(train(config(2, "float32"), parts())).rejects.toThrow(/other settings \(run\.precision\)/);
    // Whatever would be chosen today.
    expect(await train(config(2), parts("float32"))).toMatchObject({ status: "finished", steps: 2 });
    expect(await saved()).toBe("int8");
  });

  it("is float32 where there was no choice yet, and where the engine knows of none", async () => {
    await train(config(1), parts());
    expect(await saved()).toBe("float32");
    const file = path.join(folder, "config.json");
    const old = JSON.parse(readFileSync(file, "utf8")) as { run: { precision?: string } };
    delete old.run.precision;
    writeFileSync(file, JSON.stringify(old));
    expect(await saved()).toBe("float32");
    await expect(train(config(2, "int8"), parts())).rejects.toThrow(/other settings \(run\.precision\)/);
    expect(await train(config(2), parts("int8"))).toMatchObject({ status: "finished", steps: 2 });
    expect(await saved()).toBe("float32");
  });
});

const local = (folder: string, more: ConfigInput["model"] = {}): ConfigInput => ({
  model: { folder: model.folder, ...more },
  run: { folder, threads: 1, precision: "int8" },
  rollout: { maxTokensPerTurn: 4, maxTokens: 110, maxObservationTokens: 20, maxSearches: 1 },
  algorithm: { groupSize: 2 },
  train: { steps: 1, questionsPerStep: 1, testSize: 0, evalEvery: 0, evalModes: "greedy", keepBest: "last" },
});

it("int8 is refused where all weights are trained, and no folder is left", async () => {
  const folder = path.join(root, "full");
  const parts = { search: new NoneEngine(), questions: tinyQuestions };
  await expect(train(local(folder), parts)).rejects.toThrow(
    /precision is int8, but of .* all weights are trained.*model\.adapt=lora.*run\.precision/,
  );
  expect(existsSync(folder)).toBe(false);
});

it("a run over 8-bit weights hands its ranges on: to its evaluation, which measures none", async () => {
  const folder = path.join(root, "adapter");
  const parts = { search: new NoneEngine(), questions: tinyQuestions.slice(0, 12), reward: () => 0 };
  await train(local(folder, { adapt: "lora", loraRank: 2 }), { ...parts, onEvent: () => undefined });
  const config = await readRunConfig(folder);
  const best = path.join(folder, "best");
  const ranges = readFileSync(path.join(best, channelRangesFile));
  expect(readFileSync(path.join(folder, "checkpoints/step-000001/policy", channelRangesFile))).toEqual(ranges);

  const texts = () => Promise.reject(new Error("measured again"));
  const [ofRun, ofBest] = [config, { ...config, model: { ...config.model, folder: best } }];
  expect(await fittingOf(ofBest, {}, texts)).toEqual({});
  expect(await fittingOf(ofRun, {}, texts, folder)).toMatchObject({
    continues: expect.stringContaining("step-000001"),
  });
  await expect(fittingOf(ofRun, {}, texts)).rejects.toThrow("measured again");

  const notices: Notice[] = [];
  const evaluated = (precision: "int8" | "float32") =>
    evaluate(
      { ...ofBest, run: { ...ofBest.run, precision } },
      { ...parts, limit: 1, onNotice: (notice) => notices.push(notice) },
    );
  expect(await evaluated("int8")).toMatchObject({ precision: "int8" });
  expect(notices.filter(({ message }) => /trained over/.test(message))).toEqual([]);
  expect(await evaluated("float32")).toMatchObject({ precision: "float32" });
  expect(notices).toContainEqual({ kind: "note", message: expect.stringMatching(/trained over 8-bit weights/) });
});

describe("the texts that 8-bit weights are fitted to", () => {
  const tokenizer = byteTokenizer();
  const facts = { tokenizer, contextLength: 4096 };

  it("are prompts of the run and what a first search brings, the same each time", async () => {
    const config = parseConfig({ rollout: { protocol: "search-r1", maxTokensPerTurn: 512, maxTokens: 4000 } });
    const { questions } = await loadSplits(config);
    const texts = async (given = {}): Promise<number[][] | undefined> => {
      const task = await openTask(config, given, { questions: [] });
      const made = await questionTexts({ config, given, task: task.value, questions, model: facts });
      await task.close();
      return made;
    };
    const made = (await texts()) ?? [];
    expect(made).toHaveLength(8);
    expect(made.every(({ length }) => length > 0 && length <= 256)).toBe(true);
    expect(tokenizer.decode(made[0])).toMatch(/^Answer the given question\./);
    expect(await texts()).toEqual(made);
    expect(await texts({ environment: () => Promise.reject(new Error("asked")) })).toBeUndefined();
  });

  it("hold passages, and are added to where they are short", async () => {
    const config = parseConfig({
      rollout: { protocol: "atlas", maxSearches: 1, maxTokensPerTurn: 120, maxTokens: 900, maxObservationTokens: 400 },
    });
    const { questions } = await loadSplits(config);
    const task = await openTask(config, {}, { questions: [] });
    const few = { config, given: {}, task: task.value, questions: questions.slice(0, 1), model: facts };
    const made = (await questionTexts(few)) ?? [];
    expect(tokenizer.decode(made[0])).toMatch(/<search> .*<information>.*\w{3}/s);
    expect(made.flat().length).toBeGreaterThan(700);
    expect(made.length).toBeGreaterThan(1);
    await task.close();
    expect(trajectoryTexts([], facts).flat().length).toBeGreaterThan(700);
  });
});
