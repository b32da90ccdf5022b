import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { anyCharacter } from "../../../test/any-character.js";
import type { Passage } from "../../types.js";
import { Bm25Engine } from "../bm25/engine.js";
import { conformancePassages } from "../conformance.js";
import type { SearchEngine } from "../engine.js";
import { SearchError } from "../engine.js";
import { RecordedEngine, type RecordedSettings } from "./recorded.js";

let folder: string;
let open: RecordedEngine[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-recorded-"));
  open = [];
});
afterEach(async () => {
  for (const engine of open) await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

type Mode = RecordedSettings["mode"];

async function recorded(
  engine: SearchEngine,
  mode: Mode,
  more: Partial<RecordedSettings> = {},
): Promise<RecordedEngine> {
  const made = await RecordedEngine.open(engine, { folder, mode, identity: "bm25 of a small world", ...more });
  open.push(made);
  return made;
}

/** Finds passages numbered from 1 to k, all sharing the first one; `version` is in the texts. */
function counting(version = ""): SearchEngine & { asked: [string[], number][] } {
  const asked: [string[], number][] = [];
  return {
    name: "counting",
    asked,
    searchBatch: (queries, k) => {
      asked.push([[...queries], k]);
      const list = (query: string): Passage[] =>
        Array.from({ length: k }, (_, rank) => {
          const text = rank === 0 ? `shared${version}` : `${query} ${rank}${version}`;
          return { id: text, title: "T", text, score: 1 / (rank + 1) };
        });
      return Promise.resolve(queries.map(list));
    },
    counts: () => ({ requests: asked.length }),
    close: () => Promise.resolve(),
  };
}

const refusing: SearchEngine = {
  name: "refusing",
  searchBatch: () => Promise.reject(new Error("nobody may ask")),
  close: () => Promise.resolve(),
};

const files = (): string[] => readdirSync(folder).map((name) => join(folder, name));

describe("RecordedEngine", () => {
  it("repeats what an engine answered without the engine: the same passages, orders and scores", async () => {
    const engine = Bm25Engine.fromPassages(conformancePassages);
    const queries = ["capital of Peru", "owls", "lighthouse", "", "\ud800 東京", "xyzzy", "capital of Peru"];
    const first = await recorded(engine, "use");
    const expected = [await first.searchBatch(queries, 3), await first.searchBatch(["zwilling", "song"], 5)];
    await first.close();
    const again = await recorded(refusing, "replay");
    expect([await again.searchBatch(queries, 3), await again.searchBatch(["zwilling", "song"], 5)]).toEqual(expected);
    expect(again.counts()).toMatchObject({ cacheHits: 9, cacheMisses: 0, cacheSkipped: 0, cacheWriteFailures: 0 });
  });

  it("repeats any answers there can be", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.string({ unit: anyCharacter }),
            fc.array(
              fc.record({
                id: fc.string(),
                title: fc.string({ unit: anyCharacter }),
                text: fc.string({ unit: anyCharacter }),
                score: fc.double({ noNaN: true, noDefaultInfinity: true }).map((score) => score + 0),
              }),
              { maxLength: 4 },
            ),
          ),
          { maxLength: 5 },
        ),
        async (entries) => {
          const lists = new Map(entries);
          const engine: SearchEngine = {
            ...refusing,
            searchBatch: (queries) => Promise.resolve(queries.map((query) => structuredClone(lists.get(query) ?? []))),
          };
          const identity = `${Math.random()}`;
          const first = await recorded(engine, "use", { identity });
          const queries = [...lists.keys()];
          const expected = await first.searchBatch(queries, 4);
          expect(await (await recorded(refusing, "replay", { identity })).searchBatch(queries, 4)).toEqual(expected);
        },
      ),
      { numRuns: 25, seed: 31 },
    ));

  it("asks for what is not kept, each query once, and never again", async () => {
    const engine = counting();
    const cache = await recorded(engine, "use");
    await cache.searchBatch(["a", "b", "a"], 2);
    await cache.searchBatch(["c", "a"], 2);
    expect(engine.asked).toEqual([
      [["a", "b"], 2],
      [["c"], 2],
    ]);
    expect(cache.counts()).toMatchObject({ requests: 2, cacheHits: 2, cacheMisses: 3 });
    // A passage that all answers share stands there once.
    expect(readFileSync(files()[0], "utf8").match(/"text":"shared"/g)).toHaveLength(1);
  });

  it("answers a smaller k from a larger one, unless the engine does not promise that", async () => {
    const engine = counting();
    const cache = await recorded(engine, "use");
    const [five] = await cache.searchBatch(["a"], 5);
    expect(await cache.searchBatch(["a"], 2)).toEqual([five.slice(0, 2)]);
    await cache.searchBatch(["a"], 7);
    expect(engine.asked.map(([, k]) => k)).toEqual([5, 7]);
    const strict = await recorded(engine, "use", { prefixes: false });
    await strict.searchBatch(["a"], 2);
    await strict.searchBatch(["a"], 5);
    expect(engine.asked.map(([, k]) => k)).toEqual([5, 7, 2]);
  });

  it("keeps engines apart", async () => {
    await (await recorded(counting("-one"), "use", { identity: "one" })).searchBatch(["a"], 1);
    const other = await recorded(counting("-two"), "use", { identity: "two" });
    expect((await other.searchBatch(["a"], 1))[0][0].text).toBe("shared-two");
    const one = await recorded(refusing, "replay", { identity: "one" });
    expect((await one.searchBatch(["a"], 1))[0][0].text).toBe("shared-one");
  });

  it("refreshes once, and the newest answer is the one that is replayed", async () => {
    await (await recorded(counting("-old"), "use")).searchBatch(["a", "b"], 2);
    // Names begin with the time: the next file must be a later one.
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(Number(/answers-(\d+)/.exec(files()[0])?.[1])));
    const engine = counting("-new");
    const cache = await recorded(engine, "refresh");
    await cache.searchBatch(["a"], 2);
    expect((await cache.searchBatch(["a"], 1))[0][0].text).toBe("shared-new");
    expect(engine.asked).toHaveLength(1);
    const replay = await recorded(refusing, "replay");
    const texts = (await replay.searchBatch(["a", "b"], 2)).map(([first]) => first.text);
    expect(texts).toEqual(["shared-new", "shared-old"]);
  });

  it("asks nobody in replay: what is not kept is an error that names the query and the way out", async () => {
    const replay = await recorded(refusing, "replay");
    const search = replay.searchBatch(["capital of Peru", "b"], 3);
    await expect(search).rejects.toThrow(/no answer to "capital of Peru" and 1 more with 3 passages.*cacheMode=use/);
    await expect(search).rejects.toMatchObject({ name: "SearchError", isRetryable: false });
    const missing = RecordedEngine.open(refusing, { folder: join(folder, "none"), mode: "replay", identity: "x" });
    await expect(missing).rejects.toThrow(/search cache .*none cannot be used: .*cacheMode=use/);
  });

  it("keeps no failure, nothing partial and no nonsense", async () => {
    const engine = counting();
    const answer = engine.searchBatch.bind(engine);
    const cache = await recorded(engine, "use");
    engine.searchBatch = () => Promise.reject(new SearchError("down", { engine: "counting", isRetryable: true }));
    await expect(cache.searchBatch(["a"], 1)).rejects.toThrow("down");
    engine.searchBatch = () => Promise.resolve([[{ id: "x", title: "", text: "", score: Number.NaN }]]);
    await expect(cache.searchBatch(["a"], 1)).rejects.toThrow(/instead of one list each of passages/);
    engine.searchBatch = () => Promise.resolve([]);
    await expect(cache.searchBatch(["a"], 1)).rejects.toThrow(/answered 1 queries with 0 results/);
    engine.searchBatch = async (queries, k) =>
      (await answer(queries, k)).map((list) => Object.assign(list, { partial: true as const }));
    expect(await cache.searchBatch(["a"], 1)).toHaveLength(1);
    engine.searchBatch = answer;
    await cache.searchBatch(["a"], 1);
    expect(engine.asked).toHaveLength(2);
  });

  it("skips and counts what is torn or damaged, and asks for it again", async () => {
    const first = await recorded(counting(), "use");
    await first.searchBatch(["a"], 2);
    await first.searchBatch(["b"], 2);
    await first.close();
    const [file] = files();
    const text = readFileSync(file, "utf8");
    // A query and a passage changed where nobody looks at first sight; noise; a line that a kill has cut.
    const damaged = text.replace('"query":"a"', '"query":"x"').replace('"text":"b 1"', '"text":"b 2"');
    writeFileSync(file, `not json\n[]\nnull\n${damaged}`);
    truncateSync(file, Buffer.byteLength(`not json\n[]\nnull\n${damaged}`));
    appendFileSync(file, '{"engine":"bm25 of a small world","k":2,"que');
    const engine = counting();
    const cache = await recorded(engine, "use");
    const lists = await cache.searchBatch(["a", "b", "x"], 2);
    expect(lists.map((list) => list[1].text)).toEqual(["a 1", "b 1", "x 1"]);
    expect(engine.asked).toEqual([[["a", "b", "x"], 2]]);
    // Four lines that are none (an empty list has no fields), an answer whose sum does not hold, a passage whose hash does not.
    expect(cache.counts()).toMatchObject({ cacheSkipped: 6, cacheMisses: 3 });
    await cache.close();
    const replay = await recorded(refusing, "replay");
    expect(await replay.searchBatch(["a", "b", "x"], 2)).toEqual(lists);
  });

  it("lets several write at once, each into a file of its own", async () => {
    const caches = await Promise.all([1, 2, 3].map(() => recorded(counting(), "use")));
    await Promise.all(
      caches.flatMap((cache, index) => ["a", "b", `own ${index}`].map((query) => cache.searchBatch([query], 3))),
    );
    expect(files()).toHaveLength(3);
    const replay = await recorded(refusing, "replay");
    const queries = ["a", "b", "own 0", "own 1", "own 2"];
    expect(await replay.searchBatch(queries, 3)).toEqual(await counting().searchBatch(queries, 3));
  });

  it("answers all the same when it cannot write, and counts that", async () => {
    const cache = await recorded(counting(), "use");
    rmSync(folder, { recursive: true });
    expect(await cache.searchBatch(["a", "b"], 1)).toHaveLength(2);
    expect(cache.counts()).toMatchObject({ cacheWriteFailures: 2 });
    writeFileSync(folder, "a file, no folder");
    await expect(recorded(counting(), "use")).rejects.toThrow(/cannot be used: .*search.cache/);
  });
});
