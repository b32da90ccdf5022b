/** @file The controls, and what a terminal shows. */
import { describe, expect, it } from "vitest";
import { Analyzer } from "./text/analyzer.js";
import { printable } from "../printable.js";
import { highlightMatches, snippet } from "./text/highlight.js";
import { EmptyEngine, RandomEngine } from "./controls.js";

describe("random", () => {
  const passages = Array.from({ length: 50 }, (_, id) => ({ id: `${id}`, title: "", text: "" }));

  it("draws uniformly, the same for the same seed and query, other ones for others", async () => {
    const engine = new RandomEngine(passages, 1);
    const queries = Array.from({ length: 4_000 }, (_, index) => `q${index}`);
    const results = await engine.searchBatch(queries, 5);
    const counts = new Map<string, number>();
    for (const { id } of results.flat()) counts.set(id, (counts.get(id) ?? 0) + 1);
    // 20,000 draws over 50 passages: 400 each, standard deviation 19.
    for (const { id } of passages) expect(Math.abs((counts.get(id) ?? 0) - 400)).toBeLessThan(100);
    const other = await new RandomEngine(passages, 2).searchBatch(queries.slice(0, 50), 5);
    expect(other).not.toEqual(results.slice(0, 50));
  });

  it("returns everything when fewer than k exist, and nothing from nothing", async () => {
    const [all] = await new RandomEngine(passages.slice(0, 3), 1).searchBatch(["x"], 10);
    expect(all.map(({ id }) => id).sort()).toEqual(["0", "1", "2"]);
    expect(await new RandomEngine([], 1).searchBatch(["x"], 10)).toEqual([[]]);
  });
});

it("empty finds nothing, and says so for every query", async () => {
  expect(await new EmptyEngine().searchBatch(["a", "b"], 3)).toEqual([[], []]);
});

describe("highlighting", () => {
  const analyzer = new Analyzer();
  const paint = (word: string): string => `[${word}]`;

  it("paints words whose terms match, in the text as it is written", () => {
    expect(highlightMatches("The Capitals of Peru's coast.", "what is the CAPITAL of peru", analyzer, { paint })).toBe(
      "The [Capitals] of [Peru's] coast.",
    );
    expect(highlightMatches("nothing here", "owl", analyzer, { paint })).toBe("nothing here");
  });

  it("lets no passage steer the terminal", () => {
    const hostile = "a\u001b[2J\u001b]0;title\u0007 b\u202e \u009b31m\r\nnext\tcolumn\rback";
    expect(printable(hostile)).toBe("a\ufffd[2J\ufffd]0;title\ufffd b\ufffd \ufffd31m\nnext\tcolumn\ufffdback");
    expect(highlightMatches(hostile, "a b", analyzer, { paint })).not.toContain("\u001b");
  });

  it("shows the stretch that holds most of the query", () => {
    const text = `${"filler words ".repeat(30)}the capital of Peru is Lima ${"and more ".repeat(30)}capital`;
    const shown = snippet(text, "capital Peru Lima", analyzer, 60);
    expect(shown).toMatch(/^…capital of Peru is Lima.*…$/);
    expect(shown.length).toBeLessThanOrEqual(60);
    expect(snippet("short", "x", analyzer, 60)).toBe("short");
    expect(snippet(text, "absent", analyzer, 30)).toMatch(/^filler words.*…$/);
    const atEnd = snippet(`${"filler words ".repeat(30)}Lima`, "Lima", analyzer, 40);
    expect(atEnd).toMatch(/^…(filler|words) .*Lima$/);
    expect(atEnd.length).toBeLessThanOrEqual(40);
  });
});
