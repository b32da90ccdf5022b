import { describe, expect, it } from "vitest";
import type { Passage } from "../../types.js";
import type { SearchEngine } from "../engine.js";
import { SingleFlightEngine } from "./coalesce.js";
import { HybridEngine } from "./hybrid.js";
import { RerankEngine } from "./rerank.js";
import { WrappedEngine, firstOf, layerOf } from "./wrap.js";

const passage = (id: string): Passage => ({ id, title: "", text: id, score: 1 });

/** An engine that answers every query with the same list, the very same object. */
function constant(list: Passage[], name = "constant"): SearchEngine & { asked: (readonly string[])[]; closed: number } {
  const engine = {
    name,
    asked: [] as (readonly string[])[],
    closed: 0,
    searchBatch: (queries: readonly string[]) => {
      engine.asked.push(queries);
      return Promise.resolve(queries.map(() => list));
    },
    counts: () => ({ requests: engine.asked.length }),
    close: () => Promise.resolve(void engine.closed++),
  };
  return engine;
}

describe("WrappedEngine", () => {
  it("asks each query once, copies what it hands out, and asks for nothing where nothing is asked", async () => {
    const list = [passage("a")];
    const engine = constant(list);
    const wrapped = new WrappedEngine(layerOf(engine));
    const [first, second] = await wrapped.searchBatch(["q", "q"], 1);
    first[0].text = "overwritten";
    expect([second[0].text, list[0].text]).toEqual(["a", "a"]);
    expect(await wrapped.searchBatch([], 1)).toEqual([]);
    expect(engine.asked).toEqual([["q"]]);
    expect([wrapped.name, wrapped.counts()]).toEqual(["constant", { requests: 1 }]);
  });

  it("checks k and the signal before anybody is asked", async () => {
    const engine = constant([]);
    const wrapped = new WrappedEngine(layerOf(engine));
    const reason = new Error("enough");
    await expect(wrapped.searchBatch(["q"], 0)).rejects.toThrow(RangeError);
    await expect(wrapped.searchBatch(["q"], 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(engine.asked).toEqual([]);
  });

  it("refuses what is no list of passages for each query", async () => {
    const odd: SearchEngine = { ...constant([]), name: "odd", searchBatch: () => Promise.resolve([[]]) };
    const wrapped = new WrappedEngine(layerOf(odd));
    await expect(wrapped.searchBatch(["a", "b"], 1)).rejects.toThrow(/odd answered 2 queries with 1 results/);
  });

  it("hands on through all layers that an answer is partial, also where it is cut, shared or asked twice", async () => {
    const list = Object.assign([passage("a"), passage("b")], { partial: true as const });
    const scorer = {
      name: "even",
      score: (pairs: readonly unknown[]) => Promise.resolve(pairs.map(() => 1)),
      close: () => Promise.resolve(),
    };
    const hybrid = new HybridEngine([{ engine: constant(list) }, { engine: constant([], "other") }]);
    const engine = new SingleFlightEngine(new RerankEngine(hybrid, scorer));
    const [[one], [two, three]] = await Promise.all([engine.searchBatch(["q"], 1), engine.searchBatch(["q", "q"], 2)]);
    expect([one.length, two.length]).toEqual([1, 2]);
    expect([one, two, three].map(({ partial }) => partial)).toEqual([true, true, true]);
    expect(firstOf(list, 1)).toMatchObject({ length: 1, partial: true });
    expect(firstOf([passage("a"), passage("b")], 1).partial).toBeUndefined();
  });

  it("closes what is inside once, and adds up what is counted inside", async () => {
    const [one, other] = [constant([]), constant([])];
    const engine = new SingleFlightEngine(new HybridEngine([{ engine: one }, { engine: other }]));
    await engine.searchBatch(["q", "q"], 1);
    expect(engine.counts()).toEqual({ requests: 2, memberFailures: 0, sharedQueries: 1 });
    await engine.close();
    await engine.close();
    expect([one.closed, other.closed]).toEqual([1, 1]);
  });
});
