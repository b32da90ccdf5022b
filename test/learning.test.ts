/**
 * @file It learns, or the build fails: a short run from the shipped base model must pass a mark that its control without search
 * stays far below. Neither would notice a missing mask on retrieved text: `src/algorithms/algorithms.test.ts` does.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { atlasDemo } from "../src/recipes/search-r1/recipe.js";
import { mergeConfig, type ConfigInput } from "../src/train/config/config.js";
import { train } from "../src/train/train.js";

const root = await mkdtemp(path.join(tmpdir(), "sleuth-learning-"));
afterAll(() => rm(root, { recursive: true, force: true }));

/** Greedy and sampled exact match on held-out questions before and after a short run. */
async function learn(name: string, over: ConfigInput = {}) {
  const short: ConfigInput = {
    train: { steps: 16, questionsPerStep: 12, evalEvery: 0, evalSize: 30, testSize: 90, keepBest: "last" },
    run: { folder: path.join(root, name) },
  };
  const { before, after } = await train(mergeConfig(mergeConfig(atlasDemo, short), over));
  if (!before?.sampled || !after?.sampled) throw new Error("the run has no reports");
  return {
    greedy: [before.greedy.exactMatch.value, after.greedy.exactMatch.value],
    sampled: [before.sampled.exactMatch.value, after.sampled.exactMatch.value],
    searches: after.greedy.searchesPerQuestion.value,
  };
}

describe("learning on the built-in world", () => {
  it("finds out how to search, and to search again", async () => {
    const { greedy, sampled, searches } = await learn("search");
    expect(greedy[0]).toBeLessThanOrEqual(0.1);
    expect(sampled[0]).toBeLessThanOrEqual(0.1);
    expect(greedy[1]).toBeGreaterThanOrEqual(0.5);
    expect(sampled[1]).toBeGreaterThanOrEqual(0.3);
    // Pretraining never shows two searches in one text; the questions need two on average.
    expect(searches).toBeGreaterThan(1.4);
  });

  it("learns next to nothing without a search engine", async () => {
    const { greedy, sampled } = await learn("no-search", { search: { engine: "none" } });
    expect(greedy[1]).toBeLessThanOrEqual(0.15);
    expect(sampled[1]).toBeLessThanOrEqual(0.15);
  });
});
