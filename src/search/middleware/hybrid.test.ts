import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Passage } from "../../types.js";
import type { PassageList, SearchEngine } from "../engine.js";
import { SearchError } from "../engine.js";
import { HybridEngine } from "./hybrid.js";

const passage = (id: string, text = `text of ${id}`): Passage => ({ id, title: "", text, score: 1 });

/** Answers every query with the same ranking. */
function ranking(name: string, passages: readonly Passage[], counts = {}): SearchEngine & { asked: number[] } {
  const asked: number[] = [];
  return {
    name,
    asked,
    searchBatch: (queries, k) => {
      asked.push(k);
      return Promise.resolve(queries.map(() => passages.slice(0, k).map((each) => ({ ...each }))));
    },
    counts: () => counts,
    close: () => Promise.resolve(),
  };
}

function failing(reason: unknown): SearchEngine {
  return { name: "broken", searchBatch: () => Promise.reject(reason as Error), close: () => Promise.resolve() };
}

const idsOf = (lists: readonly (readonly Passage[])[]): string[][] => lists.map((list) => list.map(({ id }) => id));

describe("HybridEngine", () => {
  it("fuses by reciprocal ranks, with weights; where ids are passages' the text of the first engine that found one is kept", async () => {
    const a = { ...ranking("a", [passage("x", "of a"), passage("y")]), idsArePassages: true as const };
    const b = { ...ranking("b", [passage("z"), passage("x", "of b")]), idsArePassages: true as const };
    const hybrid = new HybridEngine([{ engine: a }, { engine: b, weight: 0.5 }], { k0: 10 });
    const [list] = await hybrid.searchBatch(["q"], 5);
    expect(hybrid.name).toBe("a+b");
    expect(list.map(({ id, score }) => [id, score])).toEqual([
      ["x", 1 / 11 + 0.5 / 12],
      ["y", 1 / 12],
      ["z", 0.5 / 11],
    ]);
    expect(list[0].text).toBe("of a");
  });

  it("loses no chunk of a document whose id its chunks share, and fuses each with itself", async () => {
    const chunks = ["Harbour office hours", "Berth fees: 40 a night", "Pilots and tugs"];
    const [hours, fees, pilots] = chunks.map((text) => passage("harbour.pdf", text));
    const a = ranking("a", [hours, fees]);
    const b = ranking("b", [pilots, { ...fees, title: "Harbour", text: " Berth fees:\n40 a  night" }]);
    const [list] = await new HybridEngine([{ engine: a }, { engine: b }]).searchBatch(["berth fees"], 5);
    expect(list.map(({ text, score }) => [text, score])).toEqual([
      [chunks[1], 2 / 62],
      [chunks[0], 1 / 61],
      [chunks[2], 1 / 61],
    ]);
  });

  it("a page of the web is not a chunk: the id alone counts between engines of the web only", async () => {
    const web = { ...ranking("web", [passage("https://a", "one excerpt")]), idsArePassages: true as const };
    const other = ranking("other", [passage("https://a", "another excerpt")]);
    const [list] = await new HybridEngine([{ engine: web }, { engine: other }, { engine: web }]).searchBatch(["q"], 5);
    expect(list.map(({ text, score }) => [text, score])).toEqual([
      ["one excerpt", 2 / 61],
      ["another excerpt", 1 / 61],
    ]);
  });

  it("a query that one member refuses is answered by the others and partial; one that all refuse is refused", async () => {
    const refusing = (name: string): SearchEngine => ({
      ...ranking(name, []),
      searchBatch: (queries) =>
        Promise.resolve(queries.map((query) => (query === "long" ? refusedList() : [passage("x")]))),
    });
    const refusedList = (): PassageList => Object.assign([], { partial: true as const, refused: "too long" });
    const good = ranking("good", [passage("y")]);
    const one = await new HybridEngine([{ engine: good }, { engine: refusing("a") }]).searchBatch(["long", "q"], 3);
    expect(one.map(({ partial, refused }) => [partial, refused])).toEqual([
      [true, undefined],
      [undefined, undefined],
    ]);
    expect(idsOf(one)).toEqual([["y"], ["y", "x"]]);
    const both = [{ engine: refusing("a") }, { engine: refusing("b") }];
    const [list] = await new HybridEngine(both).searchBatch(["long", "q"], 3);
    expect([list.length, list.partial, list.refused]).toEqual([0, true, "too long"]);
  });

  it("equals the formula computed passage by passage, whatever the rankings, and k only cuts", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.uniqueArray(fc.nat({ max: 9 }), { maxLength: 8 }), { minLength: 2, maxLength: 4 }),
        fc.integer({ min: 1, max: 12 }),
        async (rankings, k) => {
          const engines = rankings.map((ids, index) =>
            ranking(
              `e${index}`,
              ids.map((id) => passage(`${id}`)),
            ),
          );
          const [list] = await new HybridEngine(engines.map((engine) => ({ engine }))).searchBatch(["q"], k);
          const scoreOf = (id: number): number =>
            rankings.reduce((sum, ids) => sum + (ids.includes(id) ? 1 / (61 + ids.indexOf(id)) : 0), 0);
          // Ties: the engine that found it first, then its place there.
          const all = [...new Set(rankings.flat())].map((id) => ({ id: `${id}`, score: scoreOf(id) }));
          all.sort((one, other) => other.score - one.score);
          expect(list.map(({ id, score }) => ({ id, score }))).toEqual(all.slice(0, k));
          for (const { asked } of engines) expect(asked).toEqual([50]);
        },
      ),
      { numRuns: 60, seed: 5 },
    ));

  it("knows passages without ids by title and text, and counts a passage once per engine", async () => {
    const a = ranking("a", [passage("", "same"), passage("", "same"), passage("", "other")]);
    const b = ranking("b", [passage("", "same")]);
    const [list] = await new HybridEngine([{ engine: a }, { engine: b }]).searchBatch(["q"], 5);
    expect(list.map(({ text, score }) => [text, score])).toEqual([
      ["same", 2 / 61],
      ["other", 1 / 63],
    ]);
  });

  it.each([
    ["an error", failing(new SearchError("down", { engine: "broken", isRetryable: true }))],
    ["too few lists", ranking("odd", [])],
    ["passages without text", ranking("odd", [{ id: "x", title: "", score: 1 } as Passage])],
  ])("goes on with the others after %s, counts it, and marks the answer as partial", async (what, bad) => {
    if (what === "too few lists") bad.searchBatch = () => Promise.resolve([]);
    const good = ranking("good", [passage("x")], { requests: 2 });
    const hybrid = new HybridEngine([{ engine: good }, { engine: bad }]);
    const lists = await hybrid.searchBatch(["p", "q"], 3);
    expect(idsOf(lists)).toEqual([["x"], ["x"]]);
    expect(lists.every(({ partial }) => partial)).toBe(true);
    expect(hybrid.counts()).toEqual({ requests: 2, memberFailures: 1 });
    const [whole] = await new HybridEngine([{ engine: good }, { engine: good }]).searchBatch(["q"], 3);
    expect(whole.partial).toBeUndefined();
  });

  it("fails when all fail, and at the first failure where it is told so", async () => {
    const down = failing(new SearchError("down", { engine: "broken", isRetryable: true }));
    const wrong = failing(new SearchError("no such key", { engine: "broken", isRetryable: false }));
    const every = new HybridEngine([{ engine: wrong }, { engine: down }]).searchBatch(["q"], 1);
    await expect(every).rejects.toMatchObject({
      isRetryable: true,
      message: "Every engine of broken+broken failed. no such key down",
    });
    const good = ranking("good", [passage("x")]);
    const strict = new HybridEngine([{ engine: good }, { engine: wrong }], { whenMemberFails: "fail" });
    await expect(strict.searchBatch(["q"], 1)).rejects.toThrow("no such key");
  });

  it("does not wait longer than it is told for a member that heeds nothing", async () => {
    const deaf: SearchEngine = { ...failing(null), name: "deaf", searchBatch: () => new Promise(() => {}) };
    const good = ranking("good", [passage("x")]);
    const hybrid = new HybridEngine([{ engine: deaf }, { engine: good }], { memberTimeoutMs: 20 });
    expect(idsOf(await hybrid.searchBatch(["q"], 1))).toEqual([["x"]]);
    expect(hybrid.counts()).toEqual({ memberFailures: 1 });
  });

  it("gives the caller's own reason back when the caller gives up, and counts no failure", async () => {
    const deaf: SearchEngine = { ...failing(null), name: "deaf", searchBatch: () => new Promise(() => {}) };
    const hybrid = new HybridEngine([{ engine: deaf }, { engine: ranking("good", []) }]);
    const controller = new AbortController();
    const reason = new Error("enough");
    const search = hybrid.searchBatch(["q"], 1, { signal: controller.signal });
    controller.abort(reason);
    await expect(search).rejects.toBe(reason);
    expect(hybrid.counts()).toEqual({ memberFailures: 0 });
  });

  it("refuses one engine, and weights and depths that are none", () => {
    const engine = ranking("a", []);
    expect(() => new HybridEngine([{ engine }])).toThrow(/at least two/);
    expect(() => new HybridEngine([{ engine }, { engine, weight: -1 }])).toThrow(/weight/);
    expect(() => new HybridEngine([{ engine }, { engine, depth: 0 }])).toThrow(RangeError);
    expect(() => new HybridEngine([{ engine }, { engine }], { k0: Number.NaN })).toThrow(/k0/);
  });
});
