import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Passage } from "../../types.js";
import { SearchError } from "../engine.js";
import type { SearchEngine } from "../engine.js";
import { Coalescer, SingleFlightEngine } from "./coalesce.js";
import type { CoalescerSettings } from "./coalesce.js";

const passage = (text: string): Passage => ({ id: text, title: "T", text, score: 1 });
const textsOf = (lists: Passage[][]): string[][] => lists.map((list) => list.map(({ text }) => text));
/** Two turns of the event loop: calls go out in the first. No timer: on a busy machine it may be over before the first turn. */
async function turn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

interface Asked {
  queries: readonly string[];
  k: number;
  signal?: AbortSignal;
  answer(): void;
  fail(reason: Error): void;
}

/** An engine that answers when it is told to, each query with passages numbered from 1 to k. */
function told(): SearchEngine & { calls: Asked[] } {
  const calls: Asked[] = [];
  return {
    name: "told",
    calls,
    searchBatch: (queries, k, options) =>
      new Promise((resolve, reject) => {
        const lists = queries.map((query) => Array.from({ length: k }, (_, rank) => passage(`${query}${rank + 1}`)));
        calls.push({ queries, k, signal: options?.signal, answer: () => resolve(lists), fail: reject });
      }),
    close: () => Promise.resolve(),
  };
}

describe("SingleFlightEngine", () => {
  it("asks once per tick, each query once, and cuts to each caller's k", async () => {
    const engine = told();
    const search = new SingleFlightEngine(engine);
    const results = Promise.all([
      search.searchBatch(["a", "b"], 1),
      search.searchBatch(["b"], 3),
      search.searchBatch([], 2),
      Promise.resolve().then(() => search.searchBatch(["c", "c"], 2)),
    ]);
    await turn();
    engine.calls[0].answer();
    expect((await results).map(textsOf)).toEqual([
      [["a1"], ["b1"]],
      [["b1", "b2", "b3"]],
      [],
      [
        ["c1", "c2"],
        ["c1", "c2"],
      ],
    ]);
    expect(engine.calls.map(({ queries, k }) => [queries, k])).toEqual([[["a", "b", "c"], 3]]);
    expect(search.counts()).toEqual({ sharedQueries: 2 });
  });

  it("joins what is under way with a k as large, and asks anew afterwards", async () => {
    const engine = told();
    const search = new SingleFlightEngine(engine);
    const first = search.searchBatch(["a"], 2);
    await turn();
    const joined = search.searchBatch(["a", "b"], 2);
    const larger = search.searchBatch(["a"], 3);
    await turn();
    for (const call of engine.calls) call.answer();
    expect(textsOf(await first)).toEqual([["a1", "a2"]]);
    expect(textsOf(await joined)).toEqual([
      ["a1", "a2"],
      ["b1", "b2"],
    ]);
    expect(textsOf(await larger)).toEqual([["a1", "a2", "a3"]]);
    expect(engine.calls.map(({ queries, k }) => [queries, k])).toEqual([
      [["a"], 2],
      [["b", "a"], 3],
    ]);
    void search.searchBatch(["a"], 2);
    await turn();
    expect(engine.calls).toHaveLength(3);
    engine.calls[2].answer();
  });

  it("lets one caller go without disturbing the others", async () => {
    const engine = told();
    const search = new SingleFlightEngine(engine);
    const controller = new AbortController();
    const leaving = search.searchBatch(["a"], 1, { signal: controller.signal });
    const staying = search.searchBatch(["a"], 1);
    await turn();
    const late = search.searchBatch(["a"], 1, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    await expect(late).rejects.toBe(reason);
    expect(engine.calls[0].signal?.aborted).toBe(false);
    engine.calls[0].answer();
    expect(textsOf(await staying)).toEqual([["a1"]]);
    expect(engine.calls).toHaveLength(1);
  });

  it("aborts the engine when everybody has left, and does not ask for those who left before", async () => {
    const engine = told();
    const search = new SingleFlightEngine(engine);
    const controller = new AbortController();
    const both = ["a", "b"].map((query) => search.searchBatch([query], 1, { signal: controller.signal }));
    await turn();
    controller.abort(new Error("enough"));
    for (const one of both) await expect(one).rejects.toThrow("enough");
    expect(engine.calls[0].signal?.aborted).toBe(true);
    // What was aborted is joined by nobody.
    const again = search.searchBatch(["a"], 1);
    const early = new AbortController();
    const left = search.searchBatch(["c"], 1, { signal: early.signal });
    early.abort(new Error("too late"));
    await expect(left).rejects.toThrow("too late");
    await turn();
    expect(engine.calls[1].queries).toEqual(["a"]);
    expect(engine.calls[1].signal?.aborted).toBe(false);
    engine.calls[1].answer();
    expect(textsOf(await again)).toEqual([["a1"]]);
  });

  it("asks for a caller that comes after all others have left", async () => {
    const engine = told();
    const search = new SingleFlightEngine(engine);
    const controller = new AbortController();
    const left = search.searchBatch(["a"], 1, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(left).rejects.toThrow("enough");
    const stays = search.searchBatch(["b"], 1);
    await turn();
    engine.calls.at(-1)?.answer();
    expect(textsOf(await stays)).toEqual([["b1"]]);
    expect(engine.calls.at(-1)?.signal?.aborted).toBe(false);
  });

  it("told to, asks for every caller alone, and still asks for no query twice", async () => {
    const engine = told();
    const search = new SingleFlightEngine(engine, { together: false });
    const failing = search.searchBatch(["a", "b"], 1);
    const other = search.searchBatch(["c"], 1);
    const joined = search.searchBatch(["c"], 2);
    const mixed = search.searchBatch(["c", "d"], 1);
    await turn();
    expect(engine.calls.map(({ queries, k }) => [queries, k])).toEqual([
      [["a", "b"], 1],
      [["c"], 2],
      [["d"], 1],
    ]);
    engine.calls[0].fail(new Error("down"));
    await expect(failing).rejects.toThrow("down");
    engine.calls[1].answer();
    expect(textsOf(await other)).toEqual([["c1"]]);
    expect(textsOf(await joined)).toEqual([["c1", "c2"]]);
    engine.calls[2].answer();
    expect(textsOf(await mixed)).toEqual([["c1"], ["d1"]]);
    expect(search.counts()).toEqual({ sharedQueries: 2 });
  });

  it("tells a failure to all who wait, remembers none, and refuses answers of another length", async () => {
    const engine = told();
    const search = new SingleFlightEngine(engine);
    const calls = [search.searchBatch(["a"], 1), search.searchBatch(["b"], 1)];
    await turn();
    engine.calls[0].fail(new Error("down"));
    for (const call of calls) await expect(call).rejects.toThrow("down");
    const again = search.searchBatch(["a"], 1);
    await turn();
    engine.calls[1].answer();
    expect(textsOf(await again)).toEqual([["a1"]]);
    const odd: SearchEngine = { ...told(), name: "odd", searchBatch: () => Promise.resolve([[]]) };
    await expect(new SingleFlightEngine(odd).searchBatch(["a", "b"], 1)).rejects.toThrow(
      /odd answered 2 queries with 1 results/,
    );
  });
});

describe("Coalescer", () => {
  interface Call {
    queries: readonly string[];
    k: number;
    signal: AbortSignal;
    answer(): void;
    fail(reason: Error): void;
  }

  /** Answers each query with itself and `k`, when it is told to. */
  function coalescer(settings: Partial<CoalescerSettings>): { calls: Call[]; asked: Coalescer<string> } {
    const calls: Call[] = [];
    const asked = new Coalescer<string>((queries, k, signal) => {
      return new Promise((resolve, reject) => {
        const answers = queries.map((query) => `${query}${k}`);
        calls.push({ queries, k, signal, answer: () => resolve(answers), fail: reject });
      });
    }, settings);
    return { calls, asked };
  }

  const sent = (calls: readonly Call[]): [string, number][] => calls.map(({ queries, k }) => [queries.join(), k]);

  it("gathers what is asked while as many calls are under way as may be", async () => {
    const { calls, asked } = coalescer({ maxCalls: 1 });
    const first = asked.search(["a"], 1);
    await turn();
    const [second, third] = [asked.search(["b", "b"], 1), asked.search(["c", "a"], 1)];
    await turn();
    expect([sent(calls), asked.waiting, asked.calls]).toEqual([[["a", 1]], 2, 1]);
    calls[0].answer();
    expect(await first).toEqual(["a1"]);
    await turn();
    expect([sent(calls.slice(1)), asked.waiting]).toEqual([[["b,c", 1]], 0]);
    calls[1].answer();
    expect(await second).toEqual(["b1", "b1"]);
    expect(await third).toEqual(["c1", "a1"]);
    expect(asked.shared).toBe(2);
  });

  it("keeps callers with another k apart where it is told to, and calls within their bounds, oldest first", async () => {
    const { calls, asked } = coalescer({ share: "same-k", maxQueries: 2 });
    const all = [
      asked.search(["a"], 1),
      asked.search(["b"], 2),
      asked.search(["c", "d"], 1),
      asked.search(["e"], 1),
      asked.search(["a"], 2),
      asked.search(["b"], 1),
    ];
    await turn();
    expect(sent(calls)).toEqual([
      ["a", 1],
      ["b,a", 2],
      ["c,d", 1],
      ["e", 1],
    ]);
    for (const call of calls) call.answer();
    expect(await Promise.all(all)).toEqual([["a1"], ["b2"], ["c1", "d1"], ["e1"], ["a2"], ["b2"]]);
  });

  it("asks again for each caller of a failed call alone, one after another, but not when the failure may pass", async () => {
    const { calls, asked } = coalescer({ retryAlone: true });
    const both = Promise.allSettled([asked.search(["a"], 1), asked.search(["poison", "b"], 1), asked.search(["a"], 1)]);
    await turn();
    calls[0].fail(new Error("cannot"));
    await turn();
    calls[1].answer();
    await turn();
    calls[2].fail(new Error("cannot"));
    expect((await both).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(sent(calls).map(([queries]) => queries)).toEqual(["a,poison,b", "a", "poison,b"]);
    const down = Promise.allSettled([asked.search(["a"], 1), asked.search(["b"], 1)]);
    await turn();
    calls[3].fail(new SearchError("down", { engine: "told", isRetryable: true }));
    expect((await down).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(calls).toHaveLength(4);
  });

  it("tells a caller of several calls once, and aborts those that only it waited for", async () => {
    const { calls, asked } = coalescer({});
    const other = asked.search(["a"], 1);
    await turn();
    let told = 0;
    const leave = asked.ask(["a", "b"], 1, { resolve: () => told++, reject: () => told++ });
    await turn();
    calls[1].fail(new Error("down"));
    await turn();
    expect([told, calls[0].signal.aborted]).toEqual([1, false]);
    leave(new Error("too late to leave"));
    calls[0].answer();
    expect([await other, told]).toEqual([["a1"], 1]);
    const gone = asked.ask(["c"], 1, { resolve: () => told++, reject: () => told++ });
    await turn();
    gone(new Error("left"));
    expect([told, calls[2].signal.aborted]).toEqual([2, true]);
    calls[2].answer();
    await turn();
    expect(told).toBe(2);
  });
});

it("a coalescer that is asked nothing answers at once, and calls nobody", async () => {
  const coalescer = new Coalescer<string>(() => Promise.reject(new Error("called")));
  expect(await coalescer.search([], 1)).toEqual([]);
  expect(coalescer.calls).toBe(0);
});
