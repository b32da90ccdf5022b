import { describe, expect, it } from "vitest";
import { atlas } from "../../src/prompts/protocol.js";
import { combineRewards, rewardsFor } from "../../src/rewards/combine.js";
import { applySets, parseConfig, type Config } from "../../src/train/config/config.js";
import { seeds, variants } from "./cells.js";
import { allCells, type Job } from "./jobs.js";
import { tables } from "./tables.js";

const cells = allCells();
const jobs: Job[] = [...new Set(cells.flatMap((cell) => [...(cell.after ? [cell.after] : []), cell]))];

function configOf({ words }: Job): Config {
  const sets = words.filter((_, index) => words[index - 1] === "--set");
  return parseConfig(applySets({}, sets));
}

describe("the grid", () => {
  it("has every variant with every seed once, under names of their own", () => {
    expect(cells).toHaveLength(variants.length * seeds.length);
    for (const names of [jobs.map(({ label }) => label), jobs.map(({ folder }) => folder)])
      expect(new Set(names).size).toBe(jobs.length);
  });

  it.each(jobs.filter(({ label }) => label.endsWith("-0")).map((job) => [job.label, job] as const))(
    "%s: Sleuth accepts the settings",
    (_label, job) => {
      const { reward, algorithm, train } = configOf(job);
      expect(() => combineRewards(reward.weights, rewardsFor(atlas))).not.toThrow();
      if (job.words[0] === "train") expect(train.questionsPerStep * algorithm.groupSize).toBe(120);
    },
  );

  it("trains the warm start of the same seed and the same number of passages", () => {
    const warm = cells.filter((cell) => cell.after !== undefined);
    expect(warm.length).toBeGreaterThan(0);
    for (const cell of warm) {
      const after = cell.after as Job;
      expect(configOf(cell).model.folder).toBe(`${after.folder}/best`);
      expect(configOf(cell).search.topK).toBe(configOf(after).search.topK);
      expect(after.label.endsWith(`-${cell.seed}`)).toBe(true);
    }
  });

  it("shows every cell in a table, and judges no finding by cells that its table does not show", () => {
    const shown = tables.flatMap(({ rows }) => rows.map(({ variant }) => variant));
    expect(new Set(shown)).toEqual(new Set(variants.map(({ name }) => name)));
    for (const { rows, claims, reference } of tables) {
      const names = rows.map(({ variant }) => variant);
      expect(names).toContain(reference);
      for (const { left, right = left } of claims) expect(names).toEqual(expect.arrayContaining([left, right]));
    }
  });
});
