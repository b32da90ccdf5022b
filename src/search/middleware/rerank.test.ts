import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Passage } from "../../types.js";
import type { SearchEngine, Pair, PairScorer } from "../engine.js";
import { RerankEngine } from "./rerank.js";

/** Finds for each query the passages listed for it. */
function finding(found: Readonly<Record<string, readonly string[]>>): SearchEngine & { asked: number[] } {
  const asked: number[] = [];
  return {
    name: "listed",
    asked,
    searchBatch: (queries, k) => {
      asked.push(k);
      const list = (query: string): Passage[] =>
        (found[query] ?? []).slice(0, k).map((text, rank) => ({ id: text, title: "", text, score: -rank }));
      return Promise.resolve(queries.map(list));
    },
    close: () => Promise.resolve(),
  };
}

/** Scores by a function and keeps what it was asked. */
function scorerOf(score: (pair: Pair) => number): PairScorer & { asked: Pair[]; closed: number } {
  const scorer = {
    name: "scorer",
    asked: [] as Pair[],
    closed: 0,
    score: (pairs: readonly Pair[]) => {
      scorer.asked.push(...pairs);
      return Promise.resolve(pairs.map(score));
    },
    close: () => Promise.resolve(void scorer.closed++),
  };
  return scorer;
}

describe("RerankEngine", () => {
  it("orders by the scorer's scores, keeps the engine's order where they are equal, and asks for `from` whatever k", async () => {
    const engine = finding({ q: ["bb", "a", "cc", "dddd"] });
    const scorer = scorerOf(({ passage }) => passage.length);
    const reranked = new RerankEngine(engine, scorer, { from: 3 });
    const [list] = await reranked.searchBatch(["q"], 2);
    expect(list.map(({ text, score }) => [text, score])).toEqual([
      ["bb", 2],
      ["cc", 2],
    ]);
    expect(engine.asked).toEqual([3]);
    expect(reranked.counts()).toEqual({ rerankedPairs: 3 });
    await reranked.close();
    expect(scorer.closed).toBe(1);
  });

  it("passages that the scorer refuses come last, in the engine's order, and the list is partial", async () => {
    const engine = finding({ q: ["too long", "b", "too long too", "dd"], long: ["x", "y"], short: ["b"] });
    const scorer = scorerOf(() => 0);
    scorer.score = (pairs) =>
      Promise.resolve(
        pairs.map(({ query, passage }) =>
          query === "long" || passage.startsWith("too long") ? undefined : passage.length - 9,
        ),
      ) as Promise<number[]>;
    const [list, unjudged, whole] = await new RerankEngine(engine, scorer).searchBatch(["q", "long", "short"], 4);
    expect(list.map(({ text, score }) => [text, score])).toEqual([
      ["dd", -7],
      ["b", -8],
      ["too long", -8],
      ["too long too", -8],
    ]);
    expect(unjudged.map(({ text, score }) => [text, score])).toEqual([
      ["x", -0],
      ["y", -1],
    ]);
    expect([list.partial, unjudged.partial, whole.partial]).toEqual([true, true, undefined]);
  });

  it("reads a titled passage as Search-R1's reranker does, and an untitled one as its text", async () => {
    const scorer = scorerOf(() => 0);
    const engine = finding({});
    engine.searchBatch = () =>
      Promise.resolve([
        [
          { id: "1", title: "Peru", text: "Lima.", score: 1 },
          { id: "2", title: "", text: "Owls.", score: 0 },
        ],
      ]);
    await new RerankEngine(engine, scorer).searchBatch(["q"], 2);
    expect(scorer.asked.map(({ passage }) => passage)).toEqual(["(Title: Peru) Lima.", "Owls."]);
  });

  it("scores every passage with the query that found it and with no other: as many pairs as passages, none leaks", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        async (sizes, k) => {
          // Disjoint passages: "3/1" is the second that query 3 finds. The scorer loves every pair of unlike query and passage.
          const queries = sizes.map((_, query) => `${query}`);
          const found = Object.fromEntries(
            sizes.map((size, query) => [`${query}`, Array.from({ length: size }, (_, rank) => `${query}/${rank}`)]),
          );
          const scorer = scorerOf(({ query, passage }) =>
            passage.startsWith(`${query}/`) ? Number(passage.split("/")[1]) : 1000,
          );
          const lists = await new RerankEngine(finding(found), scorer).searchBatch(queries, k);
          expect(scorer.asked).toHaveLength(sizes.reduce((sum, size) => sum + size, 0));
          for (const { query, passage } of scorer.asked) expect(passage.startsWith(`${query}/`)).toBe(true);
          for (const [query, list] of lists.entries())
            expect(list.map(({ text }) => text)).toEqual([...found[`${query}`]].reverse().slice(0, k));
        },
      ),
      { numRuns: 50, seed: 9 },
    ));

  it("scores a query that stands twice in a batch once, and gives each its own list", async () => {
    const scorer = scorerOf(() => 1);
    const lists = await new RerankEngine(finding({ q: ["a", "b"] }), scorer).searchBatch(["q", "none", "q"], 2);
    expect(scorer.asked).toHaveLength(2);
    expect(lists[2]).toEqual(lists[0]);
    expect(lists[2]).not.toBe(lists[0]);
    expect(lists[1]).toEqual([]);
  });

  it.each<[string, unknown]>([
    ["a list too few", [[]]],
    ["a list too many", [[], [], []]],
    ["no lists", undefined],
    ["passages without a text", [[{ id: "1", title: "", score: 1 }], []]],
  ])("pairs nothing from an engine that answers with %s", async (_, answer) => {
    const scorer = scorerOf(() => 0);
    const odd: SearchEngine = { ...finding({}), searchBatch: () => Promise.resolve(answer as Passage[][]) };
    const search = new RerankEngine(odd, scorer).searchBatch(["p", "q"], 1);
    await expect(search).rejects.toThrow(/listed answered 2 queries with .* instead of one list of passages each/);
    expect(scorer.asked).toEqual([]);
  });

  it("does not bother the scorer when nothing was found", async () => {
    const scorer = scorerOf(() => 1);
    scorer.score = () => Promise.reject(new Error("should not be asked"));
    expect(await new RerankEngine(finding({}), scorer).searchBatch(["q"], 2)).toEqual([[]]);
  });

  it.each([
    ["a score too few", [1]],
    ["a score that is no number", [1, Number.NaN]],
    ["no list", null],
  ])("refuses %s", async (_, answer) => {
    const scorer = scorerOf(() => 1);
    scorer.score = () => Promise.resolve(answer as number[]);
    const search = new RerankEngine(finding({ q: ["a", "b"] }), scorer).searchBatch(["q"], 2);
    await expect(search).rejects.toThrow(/reranker scorer answered 2 pairs with/);
  });

  it("hands on that an answer is partial", async () => {
    const engine = finding({ q: ["a"], p: ["b"] });
    const { searchBatch } = engine;
    engine.searchBatch = async (queries, k) => {
      const lists = await searchBatch(queries, k);
      lists[0].partial = true;
      return lists;
    };
    const lists = await new RerankEngine(
      engine,
      scorerOf(() => 1),
    ).searchBatch(["q", "p"], 1);
    expect(lists.map(({ partial }) => partial)).toEqual([true, undefined]);
  });
});
