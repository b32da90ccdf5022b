import { describe, expect, it } from "vitest";
import { buildAtlas } from "../data/atlas/atlas.js";
import { balancedSample } from "../data/atlas/questions.js";
import { parseConfig } from "./config/config.js";
import { loadSplits } from "./questions.js";

const world = buildAtlas();
const splitsOf = (maxHops: number) =>
  loadSplits(parseConfig({ data: { maxHops }, train: { evalSize: 60, testSize: 241 } }));

describe("the built-in world's questions", () => {
  it("are those of before where nothing limits their hops", async () => {
    const { questions, validation, test } = await splitsOf(3);
    expect(questions).toEqual(world.questions.train);
    expect(validation).toEqual(balancedSample(world.questions.validation, 60, 0));
    expect(test).toEqual(balancedSample(world.questions.test, 241, 0));
  });

  it.each([1, 2])("have at most %i hops where data.maxHops says so, and are as many as asked for", async (maxHops) => {
    const { questions, validation, test } = await splitsOf(maxHops);
    expect(validation).toHaveLength(60);
    expect(test).toHaveLength(maxHops === 1 ? 219 : 241);
    for (const split of [questions, validation, test]) {
      const counts = [1, 2, 3].map((hops) => split.filter((question) => question.hops === hops).length);
      expect(counts.slice(maxHops)).toEqual(new Array(3 - maxHops).fill(0));
      expect(Math.min(...counts.slice(0, maxHops))).toBeGreaterThan(0);
    }
    const even = [1, 2].map((hops) => test.filter((question) => question.hops === hops).length);
    if (maxHops === 2) expect(Math.abs(even[0] - even[1])).toBeLessThanOrEqual(1);
    expect(new Set(test.map(({ id }) => id)).size).toBe(test.length);
  });
});
