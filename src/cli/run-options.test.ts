/** @file What preset, file, flags and settings amount to, and what help pages say of them. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { presets, type PresetName } from "../recipes/presets.js";
import { faithful } from "../recipes/search-r1/faithful.js";
import { parseConfig } from "../train/config/config.js";
import { addRecipeOptions, configOf, presetHelp } from "./run-options.js";
import { trainVerb } from "./train.js";

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "sleuth-options-"));
  file = path.join(folder, "sleuth.config.json");
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const withFile = async (config: unknown): Promise<string> => {
  await writeFile(file, JSON.stringify(config));
  return file;
};

describe("--preset", () => {
  it.each(Object.keys(presets) as PresetName[])("%s is a whole configuration", async (preset) => {
    expect(await configOf({ preset })).toEqual(parseConfig(presets[preset].config));
  });

  it("stands below the file, the file below flags, flags below --set", async () => {
    const preset = "search-r1-ppo";
    const config = await withFile({ critic: { learningRate: 3e-5 }, train: { steps: 7, seed: 7 } });
    const merged = await configOf({ preset, config, set: ["train.seed=9"] }, { train: { steps: 8, seed: 8 } });
    expect(merged.train).toMatchObject({ steps: 8, seed: 9, questionsPerStep: 512, updatesPerBatch: 2 });
    expect(merged.critic).toMatchObject({ learningRate: 3e-5, warmupSteps: 15 });
  });

  it("lets a file be short that would contradict itself alone", async () => {
    const config = await withFile({ algorithm: { groupSize: 1 } });
    await expect(configOf({ config })).rejects.toThrow(/groupSize is 1/);
    expect((await configOf({ config, preset: "search-r1-ppo" })).algorithm.groupSize).toBe(1);
  });

  it("does not hide what is wrong with the file", async () => {
    const preset = "search-r1-ppo";
    await expect(configOf({ preset, config: await withFile({ train: 3 }) })).rejects.toThrow(/train in .* must be an/);
    await expect(configOf({ preset, config: await withFile({ train: { step: 3 } }) })).rejects.toThrow(/train\.steps/);
  });

  it("is not for a run that goes on", async () => {
    const given = { preset: "atlas", resume: true, run: "runs/x" };
    await expect(trainVerb.run(undefined as never, given, [])).rejects.toThrow(/--preset atlas begins a run/);
  });

  it("is on the help page, name by name", () => {
    const command = new Command("train");
    addRecipeOptions(command);
    expect(command.helpInformation()).toContain('"search-r1-ppo-format"');
    for (const name of Object.keys(presets)) expect(presetHelp()).toMatch(new RegExp(`^  ${name} +\\w`, "m"));
    expect(trainVerb.examples.flat().join("\n")).toMatch(
      /--preset search-r1-ppo .*--preset search-r1-grpo --faithful/s,
    );
  });
});

describe("the configuration file of the current folder", () => {
  it("is code that nobody named: its name is told before it runs", async () => {
    const here = vi.spyOn(process, "cwd").mockReturnValue(folder);
    const notes: string[] = [];
    const terminal = { note: (text: string) => void notes.push(text) };
    await writeFile(path.join(folder, "sleuth.config.mjs"), "throw new Error('it ran');");
    await expect(configOf({}, {}, terminal)).rejects.toThrow(/it ran/);
    expect(notes).toEqual(["Running sleuth.config.mjs of this folder."]);
    await configOf({ config: await withFile({}) }, {}, terminal);
    await rm(path.join(folder, "sleuth.config.mjs"));
    await configOf({}, {}, terminal);
    expect(notes.slice(1)).toEqual(["Reading sleuth.config.json of this folder."]);
    await rm(file);
    here.mockRestore();
  });
});

describe("--faithful", () => {
  it("turns on every switch, and --set turns one off again", async () => {
    const on = await configOf({ faithful: true });
    expect(on.faithful).toEqual(faithful);
    const one = await configOf({ faithful: true, set: ["faithful.oneStepLess=false", "faithful.microBatchMean=0"] });
    expect(one.faithful).toEqual({ ...faithful, oneStepLess: false, microBatchMean: 0 });
    // The released code lets a collapse run its course, so the watch only tells.
    const expected = await configOf({ set: ["watch.action=warn"] });
    expect({ ...one, faithful: undefined }).toEqual({ ...expected, faithful: undefined });
  });

  it("is off when it is not given", async () => {
    expect(Object.values((await configOf({})).faithful).every((value) => !value)).toBe(true);
  });
});
