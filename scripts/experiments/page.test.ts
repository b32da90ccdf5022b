import { describe, expect, it } from "vitest";
import { seeds, variants, type VariantName } from "./cells.js";
import { outcomeLike } from "./outcomes.test-support.js";
import { renderPage, type Outcomes } from "./page.js";
import { tables } from "./tables.js";

const options = { cells: variants.length * seeds.length, command: "npm run experiments", pictures: "pictures" };

/** Every cell run; test EM by variant, 0.5 where none is given, with a little of its own for each seed. */
function outcomesWith(levels: Partial<Record<VariantName, number>>): Outcomes {
  return new Map(
    variants.map(({ name }, index) => [
      name,
      seeds.map((seed) => outcomeLike(name, seed, (levels[name] ?? 0.5) + 0.001 * ((seed * 7 + index * 3) % 5))),
    ]),
  );
}

const lineOf = (text: string, claim: string): string =>
  text.split("\n").find((line) => line.startsWith(`- _${claim}`)) ?? "";

describe("the page", () => {
  it("says of the same finding what the numbers say", () => {
    const claim = "With the mask PPO ends higher";
    const verdicts = [0.3, 0.7, 0.5].map((level) =>
      lineOf(renderPage(outcomesWith({ "ppo-no-mask": level }), options).text, claim),
    );
    expect(verdicts[0]).toContain("**holds here**");
    expect(verdicts[0]).toMatch(/difference \+0\.\d{3} \[\+0\.\d{3}, \+0\.\d{3}\] in test EM at T = 1, 5 seeds/);
    expect(verdicts[1]).toContain("**does not hold here**");
    expect(verdicts[2]).toContain("**cannot be seen here**");
  });

  it("has a table and a picture for every question, and no number that is none", () => {
    const { text, pictures } = renderPage(outcomesWith({}), options);
    expect(pictures.map(({ file }) => file)).toEqual(tables.map(({ name }) => `${name}.svg`));
    for (const { question, name } of tables) {
      expect(text).toContain(`## ${question}`);
      expect(text).toContain(`(pictures/${name}.svg)`);
    }
    expect(text).not.toMatch(/NaN|Infinity|undefined/);
    for (const { svg } of pictures) expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(text).not.toContain("not been made yet");
    const columns = text.split("\n").filter((line) => line.startsWith("|"));
    expect(columns.length).toBeGreaterThan(variants.length * seeds.length);
  });

  it("does not judge what has not been run", () => {
    const some = new Map([...outcomesWith({})].filter(([name]) => name === "ppo" || name === "ppo-no-mask"));
    some.set("ppo-no-mask", some.get("ppo-no-mask")!.slice(0, 1));
    const { text, pictures } = renderPage(some, options);
    expect(text).toContain(`**${options.cells - 6} of the ${options.cells} runs have not been made yet.**`);
    expect(lineOf(text, "With the mask PPO ends higher")).toContain("not run yet");
    expect(text).not.toMatch(/holds here|NaN|Infinity|undefined/);
    expect(pictures.map(({ file }) => file)).toEqual(["algorithms.svg", "mask.svg"]);
    expect(renderPage(new Map(), options).pictures).toEqual([]);
  });

  it("keeps every row of a table as wide as its head", () => {
    const lines = renderPage(outcomesWith({}), options).text.split("\n");
    lines.forEach((line, index) => {
      if (!line.startsWith("|") || !lines[index - 1].startsWith("|")) return;
      expect(line.split("|").length, line).toBe(lines[index - 1].split("|").length);
    });
  });
});
