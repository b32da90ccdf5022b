/** @file BM25 in worker threads: the same answers, and what happens when one is cancelled, closed or dies. */
import { afterEach, describe, expect, it } from "vitest";
import { busyWorker } from "../../workers/busy-workers.test-support.js";
import { searchConformance } from "../conformance.js";
import { SearchError } from "../engine.js";
import { Bm25Engine, defaultWorkers } from "./engine.js";
import { indexPassages, snapshotInMemory } from "./in-memory.js";
import { PassagesInMemory } from "../passages.js";
import type { PassageSource } from "../passages.js";
import type { Bm25Snapshot } from "./snapshot.js";
import type { StoredPassage } from "../../types.js";

const passages: StoredPassage[] = Array.from({ length: 3_000 }, (_, number) => ({
  id: `p${number}`,
  title: `Number ${number}`,
  text: `lima owl n${number % 97} m${number % 13} ${"peru ".repeat(number % 5)}`,
}));
const queries = Array.from({ length: 60 }, (_, number) => `lima n${number} peru m${number % 17} number`);

const opened: Bm25Engine[] = [];
let snapshot: Bm25Snapshot | undefined;

async function open(workers: number, source: PassageSource = new PassagesInMemory(passages)): Promise<Bm25Engine> {
  snapshot ??= await indexPassages(passages);
  const engine = await Bm25Engine.fromSnapshot(snapshot, source, { workers });
  opened.push(engine);
  return engine;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

searchConformance("bm25 in a worker", (...given) => Bm25Engine.indexed(...given, { workers: 1 }), { runs: 2 });

describe("workers", () => {
  it("answer as this thread does, in batches and one by one", async () => {
    const expected = await Bm25Engine.fromPassages(passages).searchBatch(queries, 7);
    expect(expected.flat().length).toBe(7 * queries.length);
    const engine = await open(2);
    expect(await engine.searchBatch(queries, 7)).toEqual(expected);
    const single = await Promise.all(queries.map((query) => engine.searchBatch([query], 7)));
    expect(single.flat()).toEqual(expected);
  });

  it("score large indexes unless told otherwise", () => {
    const snapshot = snapshotInMemory([], {});
    expect(defaultWorkers(snapshot)).toBe(0);
    expect(defaultWorkers({ ...snapshot, passages: 1_000_000 })).toBeGreaterThan(0);
  });

  it("leave this thread free while passages are indexed", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const snapshot = await indexPassages(passages);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
    const { segments, ...rest } = snapshotInMemory(passages, {});
    expect(snapshot).toMatchObject(rest);
    expect(snapshot.segments[0].postingPassages).toEqual(segments[0].postingPassages);
    expect(snapshot.segments[0].postingPassages.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(snapshot.segments[0].terms).toEqual(segments[0].terms);
  });

  it("a caller who leaves while queries are scored gets its own reason", async () => {
    const engine = await open(1);
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const asked = engine.searchBatch(queries, 5, { signal: controller.signal });
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    expect(await engine.searchBatch(["lima"], 1)).toHaveLength(1);
  });

  it("closing fails the queries under way and those that come later", async () => {
    const engine = await open(1);
    const asked = engine.searchBatch(queries, 5).catch((error: unknown) => error);
    await engine.close();
    for (const error of [await asked, await engine.searchBatch(["lima"], 1).catch((late: unknown) => late)]) {
      expect(error).toBeInstanceOf(SearchError);
      expect(error).toMatchObject({ message: "bm25: the engine is closed.", isRetryable: false });
    }
  });

  it("a thread that dies fails its queries as retryable; the next ones are answered", async () => {
    const engine = await open(1);
    const expected = await engine.searchBatch(["lima n3"], 5);
    const { worker, outcome } = await busyWorker(() => engine.searchBatch(queries, 5));
    await worker.terminate();
    const error: unknown = await outcome.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SearchError);
    expect(error).toMatchObject({ isRetryable: true });
    expect(await engine.searchBatch(["lima n3"], 5)).toEqual(expected);
  });

  it("passages that cannot be read fail the search with the reason", async () => {
    const source = new PassagesInMemory(passages);
    source.read = () => Promise.reject(new Error("the disk is gone"));
    const engine = await open(0, source);
    await expect(engine.searchBatch(["lima"], 1)).rejects.toThrow("bm25: the disk is gone.");
  });

  it("an engine that cannot be opened closes the passages", async () => {
    let isClosed = false;
    const source = new PassagesInMemory([]);
    source.close = async () => void (isClosed = true);
    const snapshot = { ...snapshotInMemory([], {}), k1: -1 };
    await expect(Bm25Engine.fromSnapshot(snapshot, source)).rejects.toThrow("k1");
    expect(isClosed).toBe(true);
  });
});
