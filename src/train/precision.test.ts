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

it("a run over 8-bit weights hands its ranges on: nothing is measured again, and over float32 a note tells the difference", async () => {
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
  const over = { ...ofBest, run: { ...ofBest.run, precision: "float32" as const } };
  const evaluated = await evaluate(over, { ...parts, limit: 1, onNotice: (notice) => notices.push(notice) });
  expect(evaluated).toMatchObject({ precision: "float32" });
  expect(notices).toContainEqual({ kind: "note", message: expect.stringMatching(/trained over 8-bit weights/) });
});

it("8-bit weights are fitted to prompts of the run and what a first search brings, the same each time", async () => {
  const tokenizer = byteTokenizer();
  const model = { tokenizer, contextLength: 4096 };
  const rollout = { maxSearches: 1, maxTokensPerTurn: 120, maxTokens: 900, maxObservationTokens: 400 };
  const config = parseConfig({ rollout: { protocol: "atlas", ...rollout } });
  const { questions } = await loadSplits(config);
  const { value: task, close } = await openTask(config, {}, { questions: [] });
  try {
    const asking = { config, given: {}, task, questions, model };
    const made = (await questionTexts(asking)) ?? [];
    expect(Math.max(...made.map(({ length }) => length))).toBeLessThanOrEqual(256);
    expect(made.flat().length).toBeGreaterThanOrEqual(1024);
    expect(made.slice(1).flat().length).toBeLessThan(1024);
    expect(tokenizer.decode(made[0])).toMatch(/^Question: .*<search> .*<information>.*\w{3}/s);
    expect(await questionTexts(asking)).toEqual(made);
    // What is an engine's of the caller may cost something; an environment of the caller's may do anything.
    const unsearched = (await questionTexts({ ...asking, given: { search: new NoneEngine() } })) ?? [];
    expect(unsearched.map((text) => tokenizer.decode(text)).join("")).not.toContain("<search>");
    const environment = () => Promise.reject(new Error("asked"));
    expect(await questionTexts({ ...asking, given: { environment } })).toBeUndefined();
    // Where they are short, others are added.
    const few = (await questionTexts({ ...asking, questions: questions.slice(0, 1) })) ?? [];
    expect(few.length).toBeGreaterThan(1);
    expect(few.flat().length).toBeGreaterThan(700);
    expect(trajectoryTexts([], model)).toEqual(few.slice(1));
  } finally {
    await close();
  }
});
