/** @file Builds that are interrupted go on where they were, and end as if nothing had happened. */
import { appendFileSync, cpSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { buildIndex } from "./build.js";
import type { BuildIndexOptions } from "./build.js";
import { addToIndex } from "./change.js";
import { dieAsLockHolder, failingDisk, hastyDisk, scratchFolder } from "./failing-disk.test-support.js";
import type { OutputFiles } from "../../files/disk.js";
import { readManifest } from "./format.js";
import { openIndex, verifyIndex } from "./open.js";
import type { StoredPassage } from "../../types.js";

const folder = scratchFolder("sleuth-resume-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let names = 0;
const fresh = (): string => join(folder, `x${names++}`);

const passages: StoredPassage[] = Array.from({ length: 60 }, (_, id) => ({
  id: `p${id}`,
  title: `Title ${id % 5}`,
  text: `lima owls über ${id % 9} number${id}`,
}));
const lines = (some: readonly StoredPassage[]): string => some.map((one) => `${JSON.stringify(one)}\n`).join("");

function corpusFiles(): string[] {
  const [plain, packed] = [`${fresh()}.jsonl`, `${fresh()}.jsonl.gz`];
  writeFileSync(plain, lines(passages.slice(0, 25)));
  writeFileSync(packed, gzipSync(lines(passages.slice(25))));
  return [plain, packed];
}

/** Cancels after so many checkpoints. */
function cancelAfter(checkpoints: number): Pick<BuildIndexOptions, "files" | "signal"> {
  const stop = new AbortController();
  let seen = 0;
  const rename: OutputFiles["rename"] = (from, to) => {
    hastyDisk.rename(from, to);
    if (to.endsWith("building.json") && ++seen === checkpoints) stop.abort(new Error("enough"));
  };
  return { files: { ...hastyDisk, rename }, signal: stop.signal };
}

async function sealsOf(out: string): Promise<object> {
  const { segments } = await readManifest(out);
  expect(readdirSync(out)).toHaveLength(1 + segments.length);
  for (const segment of segments)
    expect(readdirSync(join(out, segment.folder)).sort()).toEqual(Object.keys(segment.files).sort());
  return segments.map(({ files }) => files);
}

const runBytes = 200;

describe("an interrupted build", () => {
  const corpus = corpusFiles();
  const uninterrupted = (async () => {
    const out = fresh();
    await buildIndex({ corpus, out, files: hastyDisk });
    return sealsOf(out);
  })();

  it("that is cancelled goes on behind its last run, and the old index stays until then", async () => {
    for (const checkpoints of [1, 4, 8]) {
      const out = fresh();
      await buildIndex({ out, passages: [[{ id: "old", title: "", text: "antique" }]] as never, files: hastyDisk });
      const cancelled = buildIndex({ corpus, out, runBytes, ...cancelAfter(checkpoints) });
      await expect(cancelled).rejects.toThrow("enough");
      const engine = await openIndex(out);
      expect((await engine.searchBatch(["antique"], 1))[0]).toHaveLength(1);
      await engine.close();
      const progress: [number, number][] = [];
      const summary = await buildIndex({
        corpus,
        out,
        runBytes,
        files: hastyDisk,
        onProgress: (...now) => progress.push(now),
      });
      expect(summary.resumed).toBeGreaterThanOrEqual(checkpoints * 2);
      expect(summary.resumed).toBeLessThan(60);
      expect(progress[0][0]).toBeGreaterThan(0);
      expect(progress.at(-1)?.[0]).toBe(progress[0][1]);
      expect(summary.passages).toBe(60);
      expect(await sealsOf(out)).toEqual(await uninterrupted);
    }
  });

  it("goes on in workers, too", async () => {
    const out = fresh();
    const stop = new AbortController();
    const isCheckpointed = (): boolean => readdirSync(out).some((name) => existsSync(join(out, name, "building.json")));
    const untilCheckpoint = async function* (): AsyncGenerator<StoredPassage[]> {
      yield passages.slice(0, 15);
      yield passages.slice(15, 30);
      yield passages.slice(30, 45);
      for (let wait = 0; wait < 1_000 && !isCheckpointed(); wait++)
        await new Promise((resolve) => setTimeout(resolve, 20));
      stop.abort(new Error("enough"));
      yield passages.slice(45);
    };
    const options = { out, contents: "all", runBytes: 300, workers: 1 };
    const cancelled = buildIndex({ ...options, passages: untilCheckpoint(), signal: stop.signal });
    await expect(cancelled).rejects.toThrow("enough");
    const whole = async function* (start: number): AsyncGenerator<StoredPassage[]> {
      yield passages.slice(start);
    };
    expect((await buildIndex({ ...options, passages: whole })).resumed).toBeGreaterThan(0);
    expect(await sealsOf(out)).toEqual(await uninterrupted);
  });

  it("that is killed at any change of the disk ends as one that was not", async () => {
    const counting = failingDisk(Infinity, "EIO", true);
    await buildIndex({ corpus, out: fresh(), runBytes: 800, files: counting.files });
    let resumed = 0;
    for (let n = 3; n <= counting.changes(); n += 4) {
      const out = fresh();
      const { files } = failingDisk(n, "EIO", true);
      const isDone = await buildIndex({ corpus, out, runBytes: 800, files }).then(
        () => true,
        () => false,
      );
      dieAsLockHolder(out);
      if (isDone) continue;
      const summary = await buildIndex({ corpus, out, runBytes: 800, files: hastyDisk });
      if (summary.resumed > 0) resumed++;
      expect(await sealsOf(out)).toEqual(await uninterrupted);
      rmSync(out, { recursive: true });
    }
    expect(resumed).toBeGreaterThan(6);
  });

  const interruptedOnce = async (files: readonly string[]): Promise<string> => {
    const out = fresh();
    await expect(buildIndex({ corpus: files, out, runBytes, ...cancelAfter(4) })).rejects.toThrow("enough");
    return out;
  };

  it("begins anew when it is told to, when sources or settings are others, and when its files are damaged", async () => {
    const own = corpusFiles();
    const out = await interruptedOnce(own);
    const attempt = async (change: (copy: string) => Partial<BuildIndexOptions> | void): Promise<number> => {
      const copy = fresh();
      cpSync(out, copy, { recursive: true });
      const options = change(copy) ?? {};
      return (await buildIndex({ corpus: own, out: copy, runBytes, files: hastyDisk, ...options })).resumed;
    };
    const generation = (copy: string): string => join(copy, readdirSync(copy)[0]);
    expect(await attempt(() => undefined)).toBeGreaterThan(0);
    expect(await attempt(() => ({ resume: false }))).toBe(0);
    expect(await attempt(() => ({ settings: { analyzer: { stemmer: "none" } } }))).toBe(0);
    expect(await attempt(() => ({ corpus: [own[1], own[0]] }))).toBe(0);
    for (const name of ["run-1", "building.json"]) {
      const damage = (copy: string): void => {
        const victim = join(generation(copy), name);
        const content = readFileSync(victim);
        content[content.length >> 1] ^= 1;
        writeFileSync(victim, content);
      };
      expect(await attempt(damage)).toBe(0);
    }
    expect(await attempt((copy) => rmSync(join(generation(copy), "passages.jsonl")))).toBe(0);
    // k1 and b do not matter to what is built.
    expect(await attempt(() => ({ settings: { k1: 2 } }))).toBeGreaterThan(0);
    appendFileSync(own[0], lines([{ id: "new", title: "", text: "" }]));
    expect(await attempt(() => undefined)).toBe(0);
  });

  it("notices an id of an earlier run that comes again after the interruption", async () => {
    const path = `${fresh()}.jsonl`;
    writeFileSync(path, lines([...passages, passages[3]]));
    const out = await interruptedOnce([path]);
    await expect(buildIndex({ corpus: [path], out, runBytes, files: hastyDisk })).rejects.toThrow(
      `${path}:61: field "id": "p3" stands already in ${path}:4. Ids must be unique.`,
    );
    expect(readdirSync(out)).toEqual([]);
  });

  it("from passages asks only for the rest, when their contents are said to be the same", async () => {
    const asked: number[] = [];
    const from = async function* (start: number): AsyncGenerator<StoredPassage[]> {
      asked.push(start);
      for (let at = start; at < 60; at += 7) yield passages.slice(at, Math.min(60, at + 7));
    };
    for (const [contents, given] of [
      ["v1", from],
      ["v2", () => from(0)],
      [undefined, from],
    ] as const) {
      const out = fresh();
      const source = contents === "v2" ? () => ({ passages: from(0) }) : () => ({ passages: given });
      const options = { ...(contents && { contents }), out, runBytes };
      await expect(buildIndex({ ...options, ...source(), ...cancelAfter(3) })).rejects.toThrow("enough");
      if (contents === undefined) expect(readdirSync(out)).toEqual([]);
      const { resumed } = await buildIndex({ ...options, ...source(), files: hastyDisk });
      if (contents === undefined) expect(resumed).toBe(0);
      else expect(resumed).toBeGreaterThan(0);
      expect(asked.at(-1)).toBe(contents === "v1" ? resumed : 0);
      expect(await sealsOf(out)).toEqual(await uninterrupted);
    }
  });

  it("of an addition goes on while the index is the same", async () => {
    const out = fresh();
    const first = [[{ id: "old", title: "", text: "antique" }]] as never;
    await buildIndex({ out, passages: first, files: hastyDisk });
    const options = { folder: out, corpus, runBytes, merge: false } as const;
    await expect(addToIndex({ ...options, ...cancelAfter(3) })).rejects.toThrow("enough");
    expect(await addToIndex({ ...options, files: hastyDisk })).toMatchObject({ added: 60, passages: 61 });
    const [, added] = (await readManifest(out)).segments;
    expect([added.files]).toEqual(await uninterrupted);
    await verifyIndex(out);
    await buildIndex({ out, passages: first, files: hastyDisk });
    await expect(addToIndex({ ...options, ...cancelAfter(3) })).rejects.toThrow("enough");
    await addToIndex({ folder: out, passages: [[{ id: "other", title: "", text: "" }]] as never, files: hastyDisk });
    expect(await addToIndex({ ...options, files: hastyDisk })).toMatchObject({ resumed: 0, passages: 62 });
  });
});
