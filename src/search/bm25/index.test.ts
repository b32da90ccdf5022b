/** @file The index on disk: what may go wrong while it is written, and what may be wrong when it is read. */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { buildIndex } from "./build.js";
import { addToIndex, deleteFromIndex, mergeIndex } from "./change.js";
import { Bm25Engine } from "./engine.js";
import { fileNames, formatVersion } from "./format.js";
import type { Manifest } from "./format.js";
import { IndexBusy, manifestName } from "../index-folder.js";
import { parseChecksummed, withChecksum } from "../../files/checksummed-json.js";
import { openIndex, verifyIndex } from "./open.js";
import { dieAsLockHolder, onFailingDisk, scratchFolder } from "../../files/failing-disk.test-support.js";

const folder = scratchFolder("sleuth-index-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let names = 0;
const fresh = (): string => join(folder, `x${names++}`);

function corpus(title: string, count = 40): string {
  const path = `${fresh()}.jsonl`;
  const words = ["lima", "peru", "capital", "owl", "night", "sol"];
  const lines = Array.from({ length: count }, (_, id) => {
    const text = Array.from({ length: 8 }, (_, place) => words[(id * 7 + place * place) % words.length]).join(" ");
    return JSON.stringify({ id: `${title}-${id}`, title, text: `${text} number${id}` });
  });
  writeFileSync(path, lines.join("\n"));
  return path;
}

async function firstId(index: string, query: string): Promise<string> {
  const engine = await openIndex(index);
  const [[first]] = await engine.searchBatch([query], 1);
  await engine.close();
  return first.id;
}

describe("building", () => {
  const [first, second] = [corpus("first"), corpus("second")];

  it("the same passages give the same ranking from files, in one run or in many, as in memory", async () => {
    const passages = readFileSync(first, "utf8")
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string; title: string; text: string });
    const expected = await Bm25Engine.fromPassages(passages).searchBatch(["capital of Peru", "owl night number7"], 10);
    for (const runBytes of [1, 100, 700, 1_000_000]) {
      const out = fresh();
      const summary = await buildIndex({ corpus: [first], out, runBytes, workers: 0 });
      const engine = await openIndex(out);
      expect(await engine.searchBatch(["capital of Peru", "owl night number7"], 10)).toEqual(expected);
      await engine.close();
      await verifyIndex(out);
      expect(summary).toMatchObject({ out, passages: 40, terms: 47 });
      expect(readdirSync(out).sort()).toHaveLength(2);
      expect(readdirSync(join(out, readdirSync(out).find((name) => name !== manifestName) as string)).sort()).toEqual(
        Object.values(fileNames).sort(),
      );
    }
  });

  it("frequencies above 255 and above 65535 stay exact", async () => {
    for (const count of [300, 70_000]) {
      const path = `${fresh()}.jsonl`;
      const passages = [
        { id: "many", title: "", text: "owl ".repeat(count) },
        { id: "more", title: "", text: "owl ".repeat(count + 1) },
        { id: "few", title: "", text: "owl lima" },
      ];
      writeFileSync(path, passages.map((passage) => JSON.stringify(passage)).join("\n"));
      const out = fresh();
      await buildIndex({ corpus: [path], out });
      const engine = await openIndex(out);
      expect(await engine.searchBatch(["owl"], 3)).toEqual(
        await Bm25Engine.fromPassages(passages).searchBatch(["owl"], 3),
      );
      await engine.close();
    }
  });

  describe("whichever change to the disk fails, the old index stays or the new one stands", () => {
    const template = fresh();
    const replaced = async (): Promise<string> => {
      if (!existsSync(template)) await buildIndex({ corpus: [first], out: template });
      const out = fresh();
      cpSync(template, out, { recursive: true });
      return out;
    };
    const build = (out: string, workers: number): Promise<unknown> =>
      buildIndex({ corpus: [second], out, runBytes: 1000, workers });
    const countChanges = async (workers: number): Promise<number> => {
      const out = await replaced();
      const { changes, failure } = await onFailingDisk({ folder: out }, () => build(out, workers));
      expect(failure).toBe(null);
      return changes;
    };
    const failOnce = async (workers: number, failAt: number, isKilled: boolean): Promise<unknown> => {
      const out = await replaced();
      const { failure } = await onFailingDisk({ folder: out, failAt, isKilled }, () => build(out, workers));
      if (failure === null) {
        expect(await firstId(out, "number7")).toBe("second-7");
      } else {
        expect(failure).toBeInstanceOf(UserError);
        expect((failure as Error).message).toMatch(/Cannot write the index .*: the disk is full.*unchanged.*run again/);
        expect(await firstId(out, "number7")).toBe("first-7");
        if (!isKilled) expect(readdirSync(out)).toHaveLength(2);
      }
      await verifyIndex(out);
      // And the next build succeeds, whatever was left behind.
      if (failAt % 16 !== 0) return failure;
      dieAsLockHolder(out);
      await buildIndex({ corpus: [second], out });
      expect(await firstId(out, "number7")).toBe("second-7");
      expect(readdirSync(out)).toHaveLength(2);
      return failure;
    };

    for (const isKilled of [false, true]) {
      it(`in this thread${isKilled ? ", and all that come after it" : ""}`, async () => {
        const changes = await countChanges(0);
        expect(changes).toBeGreaterThan(30);
        let failures = 0;
        for (let failAt = 1; failAt <= changes + 1; failAt++)
          if ((await failOnce(0, failAt, isKilled)) !== null) failures++;
        // Only what comes after the rename may fail without harm: the old index, the files of runs and the lock are removed.
        expect(failures).toBeGreaterThanOrEqual(changes - 10);
      });
    }

    it("in workers", { timeout: 60_000 }, async () => {
      const changes = await countChanges(1);
      // What workers do is counted, too.
      expect(changes).toBe(await countChanges(0));
      for (let failAt = 4; failAt <= changes; failAt += Math.ceil(changes / 4))
        await failOnce(1, failAt, failAt % 8 === 0);
    });
  });

  it("removes what a killed build left behind", async () => {
    const out = fresh();
    await buildIndex({ corpus: [first], out });
    mkdirSync(join(out, "generation-999999999-dead"));
    writeFileSync(join(out, "lock-999999999-dead"), "");
    writeFileSync(join(out, `${manifestName}.new`), "{");
    await buildIndex({ corpus: [second], out });
    expect(readdirSync(out)).toHaveLength(2);
    expect(await firstId(out, "number7")).toBe("second-7");
  });

  it("one writer at a time: the second one is told who is at work", async () => {
    const out = fresh();
    await buildIndex({ corpus: [first], out });
    writeFileSync(join(out, `lock-${process.ppid}-alive`), "");
    const attempts = [
      () => buildIndex({ corpus: [second], out }),
      () => addToIndex({ folder: out, corpus: [second] }),
      () => deleteFromIndex({ folder: out, ids: ["first-7"] }),
      () => mergeIndex({ folder: out }),
    ];
    for (const attempt of attempts) {
      const failure: unknown = await attempt().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(IndexBusy);
      expect((failure as Error).message).toContain(`is being changed by process ${process.ppid}`);
    }
    rmSync(join(out, `lock-${process.ppid}-alive`));
    // Two calls of one process, too.
    const both = await Promise.allSettled([attempts[0](), attempts[1]()]);
    expect(both.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(1);
    // What was added to the index stands in a folder of its own.
    expect(readdirSync(out)).toHaveLength(both[1].status === "fulfilled" ? 3 : 2);
    await verifyIndex(out);
  });

  it("an engine that is open keeps answering from the index it opened", async () => {
    const out = fresh();
    await buildIndex({ corpus: [first], out });
    const engine = await openIndex(out);
    await buildIndex({ corpus: [second], out });
    const [[hit]] = await engine.searchBatch(["number7"], 1);
    expect(hit.id).toBe("first-7");
    await engine.close();
  });

  it("a malformed corpus and a cancelled build leave nothing behind", async () => {
    const out = fresh();
    const broken = `${fresh()}.jsonl`;
    writeFileSync(broken, '{"id":"1","text":"x"}\nnonsense\n');
    for (const workers of [0, 1]) {
      const failure: unknown = await buildIndex({ corpus: [broken], out, workers }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as Error).message).toContain(`${broken}:2: the line is not JSON`);
    }
    const reason = new Error("enough");
    await expect(buildIndex({ corpus: [first], out, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(readdirSync(out)).toEqual([]);
  });

  it("a build that is cancelled in the middle leaves the old index and nothing else", async () => {
    const out = fresh();
    await buildIndex({ corpus: [first], out });
    for (const workers of [0, 1]) {
      const stop = new AbortController();
      const reason = new Error("enough");
      const onPassages = (passages: number): void => {
        if (passages > 10) stop.abort(reason);
      };
      const options = { corpus: [second], out, runBytes: 200, workers, onPassages, signal: stop.signal };
      await expect(buildIndex(options)).rejects.toBe(reason);
      expect(await firstId(out, "number7")).toBe("first-7");
      expect(readdirSync(out)).toHaveLength(2);
    }
  });

  it("names both lines of an id that comes again, also many runs later", async () => {
    const path = `${fresh()}.jsonl`;
    const lines = readFileSync(first, "utf8").split("\n");
    writeFileSync(path, [...lines, lines[3]].join("\n"));
    const out = fresh();
    for (const runBytes of [1, 200, 1_000_000])
      await expect(buildIndex({ corpus: [path], out, runBytes, workers: 0 })).rejects.toThrow(
        `${path}:41: field "id": "first-3" stands already in ${path}:4. Ids must be unique.`,
      );
    expect(readdirSync(out)).toEqual([]);
  });

  it("refuses a folder of other files, a file, and settings out of range", async () => {
    const out = fresh();
    mkdirSync(out);
    writeFileSync(join(out, "diary.txt"), "dear diary");
    await expect(buildIndex({ corpus: [first], out })).rejects.toThrow(/holds other files \(diary.txt\)/);
    const encoding = fresh();
    mkdirSync(join(encoding, "generation-1-ab"), { recursive: true });
    writeFileSync(join(encoding, "generation-1-ab", "vectors.f32"), "hours of work");
    await expect(buildIndex({ corpus: [first], out: encoding })).rejects.toThrow(/of another kind \(dense\)/);
    expect(readdirSync(join(encoding, "generation-1-ab"))).toEqual(["vectors.f32"]);
    await expect(buildIndex({ corpus: [first], out: join(out, "diary.txt") })).rejects.toThrow(/is a file/);
    expect(readFileSync(join(out, "diary.txt"), "utf8")).toBe("dear diary");
    await expect(buildIndex({ corpus: [first], out: fresh(), settings: { b: 2 } })).rejects.toThrow(
      /"b" must lie between 0 and 1/,
    );
    await expect(buildIndex({ corpus: [first], out: fresh(), settings: { k1: -1 } })).rejects.toThrow(/"k1" must be/);
  });
});

describe("opening", () => {
  const source = fresh();
  const path = corpus("sound");
  const damageable = async (): Promise<{ out: string; generation: string }> => {
    if (!existsSync(source)) await buildIndex({ corpus: [path], out: source });
    const out = fresh();
    cpSync(source, out, { recursive: true });
    return { out, generation: join(out, readdirSync(out).find((name) => name !== manifestName) as string) };
  };
  const refusal = async (out: string): Promise<string> => {
    const failure = await openIndex(out).then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as Error).message).toContain(`sleuth index CORPUS.jsonl --out ${out}`);
    return (failure as Error).message;
  };

  it.each(Object.values(fileNames))("refuses a truncated, a lengthened and a missing %s, by name", async (name) => {
    const { out, generation } = await damageable();
    const victim = join(generation, name);
    const whole = readFileSync(victim);
    truncateSync(victim, whole.length - 1);
    expect(await refusal(out)).toMatch(
      `${victim}: it has ${whole.length - 1} bytes where ${whole.length} were written`,
    );
    writeFileSync(victim, Buffer.concat([whole, Buffer.from([0])]));
    expect(await refusal(out)).toContain(victim);
    rmSync(victim);
    expect(await refusal(out)).toMatch(/cannot be read \(ENOENT\)/);
  });

  it.each(Object.values(fileNames))("notices one changed bit in %s", async (name) => {
    const { out, generation } = await damageable();
    const victim = join(generation, name);
    const content = readFileSync(victim);
    content[content.length >> 1] ^= 1;
    writeFileSync(victim, content);
    await expect(verifyIndex(out)).rejects.toThrow(`${victim}: its content has changed`);
    if (name === fileNames.idHashes) {
      // Only those who change the index read it.
      await expect(deleteFromIndex({ folder: out, ids: ["sound-1"] })).rejects.toThrow(/its content has changed/);
      await expect(addToIndex({ folder: out, corpus: [corpus("more")] })).rejects.toThrow(/its content has changed/);
      return;
    }
    if (name !== fileNames.passages) {
      expect(await refusal(out)).toMatch(/its content has changed/);
      return;
    }
    // Passages stay on disk: the damage shows when the passage is read.
    for (const workers of [0, 1]) {
      const engine = await openIndex(out, {}, { workers });
      await expect(engine.searchBatch(["sound"], 40)).rejects.toThrow(/passage \d+ in .* is damaged.*sleuth index/);
      await engine.close();
    }
  });

  it("refuses a missing, half-written, foreign, altered or other-version manifest", async () => {
    const { out } = await damageable();
    const manifest = join(out, manifestName);
    const whole = readFileSync(manifest, "utf8");
    writeFileSync(manifest, whole.slice(0, whole.length >> 1));
    expect(await refusal(out)).toContain(`${manifest}: it is not JSON`);
    writeFileSync(manifest, '{"name":"something else"}');
    expect(await refusal(out)).toContain(`${manifest} is not the manifest of a Sleuth index`);
    writeFileSync(manifest, whole.replace(/"passages": \d+/, '"passages": 39'));
    expect(await refusal(out)).toContain(`${manifest}: its checksum does not match`);
    const other = { ...(JSON.parse(whole) as Manifest), version: formatVersion + 1 } as unknown as Manifest;
    writeFileSync(manifest, withChecksum(other));
    expect(await refusal(out)).toContain(
      `${manifest} is of version ${formatVersion + 1}; this Sleuth reads version ${formatVersion}`,
    );
    rmSync(manifest);
    expect(await refusal(out)).toContain(`There is no search index in ${out}`);
    expect(await refusal(fresh())).toContain("There is no search index");
  });

  it.each([
    ["terms", { terms: 3 }],
    ["passages", { passages: 3 }],
    ["postings", { postings: 2 ** 53 }],
    ["a folder that is a path", { folder: "../elsewhere" }],
    ["tombstones elsewhere", { tombstones: { file: "../x", passages: 1, bytes: 1, sha256: "0".repeat(64) } }],
    ["no files", { files: {} }],
    ["a width of another type", { frequencyBytes: "1" }],
  ])("refuses a manifest whose checksum is right and that does not fit its files: %s", async (_, change) => {
    const { out } = await damageable();
    const manifest = join(out, manifestName);
    const { content } = parseChecksummed(readFileSync(manifest, "utf8"));
    const segments = (content as unknown as Manifest).segments.map((segment) => ({ ...segment, ...change }));
    writeFileSync(manifest, withChecksum({ ...content, segments }));
    expect(await refusal(out)).toMatch(/The search index is damaged: .*index\.json/);
  });

  it("takes other k1 and b than it was built with, and keeps its analyzer", async () => {
    const out = fresh();
    await buildIndex({ corpus: [path], out, settings: { k1: 1.2, b: 0.75, analyzer: { stemmer: "none" } } });
    const [built, changed] = [await openIndex(out), await openIndex(out, { k1: 0 })];
    const [[[first]], [[other]]] = [await built.searchBatch(["owl"], 1), await changed.searchBatch(["owl"], 1)];
    expect(first.score).not.toBe(other.score);
    expect(await built.searchBatch(["owls"], 1)).toEqual([[]]);
    await Promise.all([built.close(), changed.close()]);
    await expect(openIndex(out, { b: -1 })).rejects.toThrow(UserError);
  });

  it("fails after it is closed, and between two queries of a batch when cancelled", async () => {
    const engine = await openIndex(source);
    const stop = new AbortController();
    const reason = new Error("enough");
    const searching = engine.searchBatch(["owl", "lima"], 3, { signal: stop.signal });
    stop.abort(reason);
    await expect(searching).rejects.toBe(reason);
    await engine.close();
    await expect(engine.searchBatch(["owl"], 3)).rejects.toThrow("bm25: the engine is closed.");
  });
});
