import { describe, expect, it } from "vitest";
import type { SearchEngine } from "../search/engine.js";
import type { Passage } from "../types.js";
import { batchedSearch } from "./batched-search.js";
import { engineOf, passage } from "./fixtures.test-support.js";

describe("batchedSearch", () => {
  it("asks once per tick, each query once, and cuts to each caller's k", async () => {
    const engine = engineOf((query) => [1, 2, 3].map((rank) => passage(`${query}${rank}`)));
    const search = batchedSearch(engine);
    const results = await Promise.all([
      search.searchBatch(["a", "b"], 1),
      search.searchBatch(["b"], 3),
      search.searchBatch([], 2),
      Promise.resolve().then(() => search.searchBatch(["c", "c"], 2)),
    ]);
    const texts = results.map((lists) => lists.map((list) => list.map(({ text }) => text)));
    expect(texts).toEqual([
      [["a1"], ["b1"]],
      [["b1", "b2", "b3"]],
      [],
      [
        ["c1", "c2"],
        ["c1", "c2"],
      ],
    ]);
    expect(engine.batches).toEqual([["a", "b", "c"]]);
    await search.searchBatch(["a"], 1);
    expect(engine.batches).toHaveLength(2);
  });

  it("lets one caller go without disturbing the others", async () => {
    const controller = new AbortController();
    let engineSignal: AbortSignal | undefined;
    let answer: (passages: Passage[]) => void = () => {};
    const engine = engineOf((_query, signal) => {
      engineSignal = signal;
      return new Promise((resolve) => (answer = resolve));
    });
    const search = batchedSearch(engine);
    const leaving = search.searchBatch(["a"], 1, { signal: controller.signal });
    const staying = search.searchBatch(["a"], 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    expect(engineSignal?.aborted).toBe(false);
    answer([passage("x")]);
    expect(await staying).toEqual([[passage("x")]]);
  });

  it("aborts the engine when everybody has left, and does not ask for those who left before", async () => {
    const controller = new AbortController();
    let engineSignal: AbortSignal | undefined;
    const engine = engineOf((_query, signal) => {
      engineSignal = signal;
      return new Promise(() => {});
    });
    const search = batchedSearch(engine);
    const both = ["a", "b"].map((query) => search.searchBatch([query], 1, { signal: controller.signal }));
    await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort(new Error("enough"));
    for (const one of both) await expect(one).rejects.toThrow("enough");
    expect(engineSignal?.aborted).toBe(true);
    await expect(search.searchBatch(["c"], 1, { signal: controller.signal })).rejects.toThrow("enough");
    expect(engine.batches).toHaveLength(1);
  });

  it("rejects every caller when the engine fails or answers nonsense", async () => {
    const failing = batchedSearch(engineOf(() => Promise.reject(new Error("down"))));
    const calls = [failing.searchBatch(["a"], 1), failing.searchBatch(["b"], 1)];
    for (const call of calls) await expect(call).rejects.toThrow("down");
    const odd: SearchEngine = {
      name: "odd",
      searchBatch: () => Promise.resolve([[]]),
      close: () => Promise.resolve(),
    };
    await expect(batchedSearch(odd).searchBatch(["a", "b"], 1)).rejects.toThrow(/answered 2 queries with 1 results/);
  });
});
