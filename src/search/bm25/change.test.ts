/** @file An index that changes: its ranking stays that of an index built anew, whatever was added, deleted, replaced and merged. */
import { cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { RandomEngine } from "../controls.js";
import { buildIndex } from "./build.js";
import { addToIndex, deleteFromIndex, mergeIndex } from "./change.js";
import { dieAsLockHolder, onFailingDisk, scratchFolder } from "../../files/failing-disk.test-support.js";
import { readManifest, termNumbersName } from "./format.js";
import { openIndex, readIndex, verifyIndex } from "./open.js";
import { bruteForceBm25 } from "./oracle.test-support.js";
import type { StoredPassage } from "../../types.js";

const folder = scratchFolder("sleuth-change-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let names = 0;
const fresh = (): string => join(folder, `x${names++}`);

const words = ["lima", "peru", "owls", "night", "the", "sol", "über", "東京", "1977"];
const queries = ["lima", "peru owls", "the night sol sol", "über 東京", "nothing 1977"];

const textOf = fc.array(fc.constantFrom(...words), { maxLength: 12 }).map((list) => list.join(" "));
const passageOf = fc.record({ id: fc.constantFrom(..."abcdefghijkl"), title: textOf, text: textOf });
const batchOf = fc.uniqueArray(passageOf, { selector: ({ id }) => id, minLength: 1, maxLength: 6 });

const passages = (ids: string, text = (id: string): string => `lima ${id} peru`): StoredPassage[] =>
  [...ids].map((id) => ({ id, title: "", text: text(id) }));

async function* one(batch: readonly StoredPassage[]): AsyncGenerator<readonly StoredPassage[]> {
  yield batch;
}

const build = (out: string, batch: readonly StoredPassage[]): Promise<unknown> =>
  buildIndex({ out, passages: one(batch) });

/** The index answers like brute force over the living passages, in their order. */
async function expectRanking(out: string, living: readonly StoredPassage[], settings = {}): Promise<void> {
  const engine = await openIndex(out);
  const expected = queries.map((query) => (living.length === 0 ? [] : bruteForceBm25(living, query, 5, settings)));
  expect(await engine.searchBatch(queries, 5)).toEqual(expected);
  await engine.close();
}

async function idsIn(out: string): Promise<string[]> {
  const { snapshot, passages: stored } = await readIndex(out);
  const numbers = Array.from({ length: stored.count }, (_, number) => number).filter((n) => !stored.isDeleted(n));
  const ids = (await stored.read(numbers)).map(({ id }) => id);
  expect(snapshot.passages).toBe(ids.length);
  await stored.close();
  return ids;
}

type Step =
  | { add: StoredPassage[] }
  | { replace: StoredPassage[]; merge: boolean }
  | { delete: string[]; merge: boolean }
  | { merge: true };

const stepOf: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ add: batchOf }),
  fc.record({ replace: batchOf, merge: fc.boolean() }),
  fc.record({ delete: fc.array(fc.constantFrom(..."abcdefghijklm"), { maxLength: 8 }), merge: fc.boolean() }),
  fc.constant({ merge: true as const }),
);

describe("changes", () => {
  it("any sequence of adding, replacing, deleting and merging ranks as an index built anew", () =>
    fc.assert(
      fc.asyncProperty(batchOf, fc.array(stepOf, { maxLength: 7 }), async (first, steps) => {
        const out = fresh();
        await build(out, first);
        let living = [...first];
        for (const step of steps) {
          const options = { folder: out };
          const policy = { merge: "merge" in step && step.merge ? { fanIn: 2, maxDeleted: 0.5 } : (false as const) };
          if ("add" in step) {
            const isTaken = step.add.some(({ id }) => living.some((other) => other.id === id));
            const adding = addToIndex({ ...options, ...policy, passages: one(step.add), runBytes: 60, workers: 0 });
            if (isTaken) {
              await expect(adding).rejects.toThrow(/is in the index .* already/);
            } else {
              expect(await adding).toMatchObject({ added: step.add.length, replaced: 0 });
              living.push(...step.add);
            }
          } else if ("replace" in step) {
            const kept = living.filter(({ id }) => step.replace.every((other) => other.id !== id));
            const source = one(step.replace);
            expect(
              await addToIndex({ ...options, ...policy, passages: source, replace: true, runBytes: 60, workers: 0 }),
            ).toMatchObject({ added: step.replace.length, replaced: living.length - kept.length });
            living = [...kept, ...step.replace];
          } else if ("delete" in step) {
            const kept = living.filter(({ id }) => !step.delete.includes(id));
            const unknown = [...new Set(step.delete)].filter((id) => living.every((other) => other.id !== id));
            const summary = await deleteFromIndex({ ...options, ...policy, ids: step.delete });
            expect(summary).toMatchObject({ deleted: living.length - kept.length, unknown, passages: kept.length });
            living = kept;
          } else {
            const summary = await mergeIndex(options);
            expect(summary).toMatchObject({ passages: living.length, segments: living.length === 0 ? 0 : 1 });
          }
        }
        await expectRanking(out, living);
        expect(await idsIn(out)).toEqual(living.map(({ id }) => id));
        await verifyIndex(out);
        const { segments } = await readManifest(out);
        expect(readdirSync(out).sort()).toEqual([...segments.map((segment) => segment.folder), "index.json"].sort());
        rmSync(out, { recursive: true });
      }),
      { numRuns: 60 },
    ));

  it("an engine that is open keeps what it opened", async () => {
    const out = fresh();
    await build(out, passages("abcdef"));
    await addToIndex({ folder: out, passages: one(passages("gh")) });
    const engine = await openIndex(out);
    const before = await engine.searchBatch(queries, 10);
    await deleteFromIndex({ folder: out, ids: ["a", "g"] });
    await mergeIndex({ folder: out });
    await build(out, passages("xyz"));
    expect(await engine.searchBatch(queries, 10)).toEqual(before);
    await engine.close();
  });

  it("deleted passages are not drawn at random either", async () => {
    const out = fresh();
    await build(out, passages("abcdef"));
    await deleteFromIndex({ folder: out, ids: [..."bcdf"], merge: false });
    const engine = await openIndex(out);
    const [drawn] = await new RandomEngine(engine.passages, 1).searchBatch(["x"], 10);
    expect(drawn.map(({ id }) => id).sort()).toEqual(["a", "e"]);
    await engine.close();
  });

  it("merges by itself: segments stay few, worn ones are rewritten", async () => {
    const out = fresh();
    await build(out, passages("a"));
    let most = 0;
    for (let id = 0; id < 40; id++) {
      const added = [{ id: `n${id}`, title: "", text: `owls ${id}` }];
      const { segments } = await addToIndex({ folder: out, passages: one(added) });
      most = Math.max(most, segments);
    }
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(14);
    const ids = Array.from({ length: 36 }, (_, id) => `n${id}`);
    expect((await deleteFromIndex({ folder: out, ids })).passages).toBe(5);
    const { segments } = await readManifest(out);
    for (const { tombstones, passages: count } of segments)
      expect(tombstones?.passages ?? 0).toBeLessThanOrEqual(0.3 * count);
  });

  it("grows and merges in workers as in this thread", async () => {
    const [out, again] = [fresh(), fresh()];
    const corpus = Array.from({ length: 300 }, (_, id) => ({
      id: `${id}`,
      title: "lima",
      text: `owls ${id % 7} night`,
    }));
    await buildIndex({ out, passages: one(corpus.slice(0, 200)), workers: 2, runBytes: 1_000 });
    await addToIndex({ folder: out, passages: one(corpus.slice(200)), workers: 1, merge: false });
    await expect(addToIndex({ folder: out, passages: one(corpus.slice(7, 8)), workers: 1 })).rejects.toThrow(
      'The id "7" is in the index',
    );
    await deleteFromIndex({ folder: out, ids: ["3", "299"], merge: false });
    expect(await mergeIndex({ folder: out, workers: 1 })).toMatchObject({ passages: 298, segments: 1 });
    const living = corpus.filter(({ id }) => id !== "3" && id !== "299");
    await expectRanking(out, living);
    // Byte for byte what building anew gives.
    await build(again, living);
    const [[merged], [anew]] = [(await readManifest(out)).segments, (await readManifest(again)).segments];
    expect(merged.files).toEqual(anew.files);
  });

  it("reads, adds to, deletes from and merges an index of version 1", async () => {
    const out = fresh();
    cpSync(new URL("../testdata/index-v1", import.meta.url), out, { recursive: true });
    const [generation] = readdirSync(out).filter((name) => name !== "index.json");
    const old = readFileSync(join(out, generation, "passages.jsonl"), "utf8")
      .trim()
      .split("\n");
    let living = old.map((line) => JSON.parse(line) as StoredPassage);
    const settings = { k1: 1.2 };
    await expectRanking(out, living, settings);
    await verifyIndex(out);
    await expect(addToIndex({ folder: out, passages: one([living[1]]) })).rejects.toThrow(/already/);
    await addToIndex({ folder: out, passages: one(passages("ab")) });
    await deleteFromIndex({ folder: out, ids: ["owl"], merge: false });
    living = [...living.filter(({ id }) => id !== "owl"), ...passages("ab")];
    expect(existsSync(join(out, generation, termNumbersName))).toBe(true);
    await expectRanking(out, living, settings);
    await mergeIndex({ folder: out });
    expect(readdirSync(out)).not.toContain(generation);
    await expectRanking(out, living, settings);
  });

  it("ids of a megabyte, passages of megabytes, and ids that look like anything", async () => {
    const out = fresh();
    const odd: StoredPassage[] = [
      { id: "x".repeat(1 << 20), title: "", text: "lima" },
      { id: "__proto__", title: "", text: "peru ".repeat(400_000) },
      { id: "\ud800", title: "", text: "owls" },
      { id: "🦀", title: "\u0000", text: "" },
    ];
    await build(out, odd);
    await addToIndex({ folder: out, passages: one(passages("q")), merge: false });
    await expect(addToIndex({ folder: out, passages: one([odd[0]]) })).rejects.toThrow(/^The id "x{200}…"/);
    expect(await idsIn(out)).toEqual([...odd.map(({ id }) => id), "q"]);
    const ids = [odd[0].id, "__proto__", "\ud800", "no such"];
    expect(await deleteFromIndex({ folder: out, ids })).toMatchObject({
      deleted: 3,
      unknown: ["no such"],
    });
    await expectRanking(out, [odd[3], ...passages("q")]);
  });

  it("refuses nothing to add, repeated ids, and folders without an index", async () => {
    const out = fresh();
    await build(out, passages("abc"));
    const manifest = readFileSync(join(out, "index.json"));
    const refused = async (batch: readonly StoredPassage[], message: RegExp): Promise<void> => {
      const failure: unknown = await addToIndex({
        folder: out,
        passages: one(batch),
        runBytes: 20,
        workers: 0,
      }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as Error).message).toMatch(message);
      expect(readdirSync(out)).toHaveLength(2);
      expect(readFileSync(join(out, "index.json"))).toEqual(manifest);
    };
    await refused([], /The corpus is empty/);
    await refused(passages("xyzx"), /The id "x" stands for two passages/);
    await refused(passages("xyb"), /The id "b" is in the index .* already.*--replace/);
    const empty = `${fresh()}.jsonl`;
    writeFileSync(empty, "\n");
    await expect(addToIndex({ folder: out, corpus: [empty] })).rejects.toThrow(/The corpus is empty/);
    const missing = fresh();
    await expect(addToIndex({ folder: missing, passages: one(passages("a")) })).rejects.toThrow(/no search index/);
    await expect(deleteFromIndex({ folder: missing, ids: ["a"] })).rejects.toThrow(/no search index/);
    await expect(mergeIndex({ folder: missing })).rejects.toThrow(/no search index/);
    expect(existsSync(missing)).toBe(false);
  });
});

describe("faults", () => {
  const template = fresh();
  /** Three segments, the first two with deletions. */
  const prepared = async (): Promise<string> => {
    if (!existsSync(template)) {
      await build(template, passages("abcdefgh"));
      await addToIndex({ folder: template, passages: one(passages("ijkl")), merge: false });
      await addToIndex({ folder: template, passages: one(passages("m")), merge: false });
      await deleteFromIndex({ folder: template, ids: ["b", "k"], merge: false });
    }
    const out = fresh();
    cpSync(template, out, { recursive: true });
    return out;
  };
  const before = [..."acdefghijlm"];
  const merge = false as const;

  const changes: [name: string, after: string[], change: (out: string, workers: number) => Promise<unknown>][] = [
    [
      "adding",
      [...before, ..."xyz"],
      (out, workers) => addToIndex({ folder: out, passages: one(passages("xyz")), runBytes: 60, merge, workers }),
    ],
    [
      "replacing",
      [..."cdefghijlm", ..."axk"],
      (out, workers) =>
        addToIndex({ folder: out, passages: one(passages("axk")), replace: true, runBytes: 60, merge, workers }),
    ],
    ["deleting", [..."cdefghijl"], (out) => deleteFromIndex({ folder: out, ids: ["a", "m", "b"], merge })],
    ["merging", before, (out, workers) => mergeIndex({ folder: out, workers })],
  ];

  /** Counts the changes of the disk of a change that succeeds. */
  const countChanges = async (index: number, workers: number): Promise<number> => {
    const [, after, change] = changes[index];
    const out = await prepared();
    const { changes: count, failure } = await onFailingDisk({ folder: out }, () => change(out, workers));
    expect(failure).toBe(null);
    expect(await idsIn(out)).toEqual(after);
    return count;
  };

  /** Lets one change of the disk fail: afterwards all is done or nothing, and the next writer finds its way. */
  const failOnce = async (index: number, workers: number, failAt: number, isKilled: boolean): Promise<unknown> => {
    const [, after, change] = changes[index];
    const out = await prepared();
    const { failure } = await onFailingDisk({ folder: out, failAt, isKilled }, () => change(out, workers));
    if (failure !== null) {
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as Error).message).toMatch(/Cannot write the index .*: the disk is full.*unchanged.*run again/);
    }
    expect(await idsIn(out)).toEqual(failure === null ? after : before);
    await verifyIndex(out);
    // It clears away whatever was left behind.
    if (failAt % 5 === 1) {
      dieAsLockHolder(out);
      await deleteFromIndex({ folder: out, ids: ["c"], merge: false });
      const { segments } = await readManifest(out);
      expect(readdirSync(out)).toHaveLength(segments.length + 1);
    }
    rmSync(out, { recursive: true });
    return failure;
  };

  for (const [index, [name]] of changes.entries()) {
    for (const isKilled of [false, true]) {
      it(`${name}: whichever change to the disk fails${isKilled ? " last" : ""}, all of it or nothing is done`, async () => {
        const count = await countChanges(index, 0);
        expect(count).toBeGreaterThan(10);
        let failures = 0;
        for (let failAt = 1; failAt <= count; failAt++)
          if ((await failOnce(index, 0, failAt, isKilled)) !== null) failures++;
        expect(failures).toBeGreaterThan(count / 3);
      });
    }
  }

  it.each([0, 1, 3])("the same when workers change the disk (change %i)", { timeout: 60_000 }, async (index) => {
    const count = await countChanges(index, 1);
    // What workers do is counted, too.
    expect(count).toBe(await countChanges(index, 0));
    for (let failAt = 3; failAt <= count; failAt += Math.ceil(count / 2))
      await failOnce(index, 1, failAt, failAt % 2 === 0);
  });

  it("damaged files of a segment are not merged into whole ones", async () => {
    const [first] = (await readManifest(await prepared())).segments;
    for (const name of Object.keys(first.files)) {
      const out = await prepared();
      const victim = join(out, first.folder, name);
      const content = readFileSync(victim);
      content[content.length >> 1] ^= 1;
      writeFileSync(victim, content);
      await expect(mergeIndex({ folder: out })).rejects.toThrow(`${victim}: its content has changed`);
      expect((await readManifest(out)).segments).toHaveLength(3);
    }
  });

  it("refuses damaged tombstones, by name", async () => {
    const out = await prepared();
    const [first] = (await readManifest(out)).segments;
    const victim = join(out, first.folder, first.tombstones?.file as string);
    const whole = readFileSync(victim);
    const attempts = [
      () => openIndex(out),
      () => verifyIndex(out),
      () => mergeIndex({ folder: out }),
      () => deleteFromIndex({ folder: out, ids: ["a"] }),
      () => addToIndex({ folder: out, passages: one(passages("x")) }),
    ];
    const flipped = Buffer.from(whole);
    flipped[9] ^= 4;
    for (const damage of [whole.subarray(0, whole.length - 1), flipped, Buffer.alloc(0)]) {
      writeFileSync(victim, damage);
      for (const attempt of attempts) await expect(attempt()).rejects.toThrow(`The search index is damaged: ${victim}`);
    }
    rmSync(victim);
    for (const attempt of attempts) await expect(attempt()).rejects.toThrow(/cannot be read \(ENOENT\)/);
  });

  it("a failed merge afterwards is told and takes nothing back", async () => {
    const out = await prepared();
    const [first] = (await readManifest(out)).segments;
    const victim = join(out, first.folder, "posting-passages.u32");
    const content = readFileSync(victim);
    content[0] ^= 1;
    writeFileSync(victim, content);
    const summary = await addToIndex({
      folder: out,
      passages: one(passages("x")),
      merge: { maxDeleted: 0.1 },
    });
    expect(summary).toMatchObject({ added: 1, passages: 12, segments: 4 });
    expect(summary.mergeFailure).toContain("its content has changed");
  });
});
