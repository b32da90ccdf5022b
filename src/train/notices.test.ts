/** @file What looks like a mistake is told when a run begins, to the listener, and to the process where there is none. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { buildAtlas } from "../data/atlas/atlas.js";
import { byteTokenizer } from "../policy/testing.js";
import { atlas, searchR1 } from "../prompts/protocol.js";
import { PassagesInMemory } from "../search/passages.js";
import type { SearchEngine } from "../search/engine.js";
import type { Question } from "../types.js";
import { parseConfig, type ConfigInput } from "./config/config.js";
import { evaluate } from "./evaluate.js";
import { mismatch, wrongModel } from "./notices.js";
import { tinyConfig, tinyParts, tinyQuestions } from "./tiny-run.test-support.js";
import { train, type TrainOptions } from "./train.js";

const world = buildAtlas({ seed: 0 });
const builtIn: Question[] = world.questions.train.slice(0, 20);

describe("questions and passages that do not belong together", () => {
  const own = new PassagesInMemory([{ id: "1", title: "Harbour", text: "The ferry leaves at nine." }]);
  const config = parseConfig({});
  const indexed = parseConfig({ data: { index: "index" } });

  it("are told of in both directions", async () => {
    expect(await mismatch(config, tinyQuestions, { isBuiltIn: true })).toMatch(
      /^The questions are yours, but the pass/,
    );
    expect(await mismatch(indexed, builtIn, { isBuiltIn: false, passages: own })).toMatch(
      /^The questions are the built-in/,
    );
    expect(await mismatch(indexed, builtIn, { isBuiltIn: false })).toMatch(/--questions \(data\.questions\)/);
  });

  it("are not told of where they do, or nobody can say", async () => {
    expect(await mismatch(config, builtIn, { isBuiltIn: true })).toBeNull();
    expect(await mismatch(indexed, tinyQuestions, { isBuiltIn: false, passages: own })).toBeNull();
    const copy = new PassagesInMemory(world.passages);
    expect(await mismatch(indexed, builtIn, { isBuiltIn: false, passages: copy })).toBeNull();
    expect(await mismatch(config, builtIn, { isBuiltIn: false })).toBeNull();
    expect(await mismatch(config, tinyQuestions.slice(0, 1), { isBuiltIn: true })).toBeNull();
  });
});

it("the built-in world's model on other questions is told of", () => {
  const config = parseConfig({});
  expect(wrongModel(config, tinyQuestions, byteTokenizer(atlas))).toMatch(/^atlas-base is the model of the built-in/);
  expect(wrongModel(config, builtIn, byteTokenizer(atlas))).toBeNull();
  const other = { ...byteTokenizer(searchR1), specialTokens: new Map<string, number>() };
  expect(wrongModel(config, tinyQuestions, other)).toBeNull();
});

describe("a run", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), "sleuth-notices-"));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(root, { recursive: true, force: true });
  });

  const config = (): ConfigInput => tinyConfig(path.join(root, "run"), { steps: 1, testSize: 0 });
  const run = (options: TrainOptions) => train(config(), { ...tinyParts(), ...options });

  it("tells the process where nobody listens", async () => {
    const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const parts = { policy: tinyParts().policy, questions: tinyQuestions };
    await train(config(), parts);
    expect(emitWarning.mock.calls[0]).toEqual([expect.stringMatching(/^The questions are yours/), "SleuthWarning"]);
    emitWarning.mockClear();
    await evaluate({ ...config(), search: { engine: "random" } }, { ...parts, limit: 2 });
    expect(emitWarning.mock.calls[0]).toEqual([expect.stringMatching(/^The questions are yours/), "SleuthWarning"]);
    emitWarning.mockClear();
    rmSync(path.join(root, "run"), { recursive: true });
    await train(config(), { ...parts, onEvent: () => undefined });
    expect(emitWarning).not.toHaveBeenCalled();
  });

  it.each([
    ["NaN", NaN],
    ["Infinity", Infinity],
    ["undefined", undefined],
    ["a list of 4", [1, 0, 1, 0]],
    ["a value of type string", "1"],
  ])("ends with an error that names the reward when it returns %s", async (shown, value) => {
    const reward = () => value as number;
    const message = new RegExp(`reward given to train or evaluate returned ${shown} for question q\\d+`);
    await expect(run({ reward, onEvent: () => undefined })).rejects.toThrow(message);
    const late = () => Promise.resolve(value as number);
    await expect(run({ reward: late, onEvent: () => undefined })).rejects.toThrow(message);
  });

  it("ends with an error that names the engine when its answer is not one list for each query", async () => {
    const search: SearchEngine = {
      name: "shelf",
      searchBatch: (queries) => Promise.resolve([...queries, "more"].map(() => [])),
      close: () => Promise.resolve(),
    };
    await expect(run({ search, onEvent: () => undefined })).rejects.toThrow(/search engine shelf answered 1 queries/);
  });

  it("says that no checkpoint was better, where the model before training is kept", async () => {
    const warnings: string[] = [];
    const worse: TrainOptions["exactMatch"] = (() => {
      let scored = 0;
      // Of the first evaluation everything is right, of later ones nothing.
      return () => (scored++ < 8 ? 1 : 0);
    })();
    const onEvent: TrainOptions["onEvent"] = (event) => void (event.kind === "warning" && warnings.push(event.message));
    const result = await run({ exactMatch: worse, test: [], onEvent });
    expect(result.best?.step).toBe(0);
    expect(warnings.at(-1)).toMatch(/^No evaluation on validation questions was better than the first/);
  });
});

it("a corpus file that is not the built-in world's is nobody's mistake", async () => {
  const root = mkdtempSync(path.join(os.tmpdir(), "sleuth-notices-"));
  writeFileSync(path.join(root, "corpus.jsonl"), '{"id":"1","contents":"\\"q\\"\\na letter"}\n');
  const told: string[] = [];
  const input = { ...tinyConfig("", {}), data: { corpus: path.join(root, "corpus.jsonl") } };
  const onNotice = ({ message }: { message: string }): void => void told.push(message);
  await evaluate(input, { policy: tinyParts().policy, questions: tinyQuestions, limit: 2, onNotice });
  expect(told).toEqual([expect.stringMatching(/^99 % of passages fit/)]);
  rmSync(root, { recursive: true });
});
