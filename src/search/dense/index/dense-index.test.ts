import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../../errors.js";
import { dieAsLockHolder, onFailingDisk } from "../../../files/failing-disk.test-support.js";
import { SearchError } from "../../engine.js";
import { passageText } from "../encoder.js";
import type { VectorSource } from "../vectors/open-vectors.js";
import { WordEncoder, refusing, unitWordVectors } from "../word-encoder.test-support.js";
import { buildDenseIndex, type BuildDenseOptions } from "./build.js";
import { parseChecksummed, withChecksum } from "../../../files/checksummed-json.js";
import { readDenseManifest, type DenseManifest } from "./format.js";
import { openDenseIndex } from "./open.js";
import type { StoredPassage } from "../../../types.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-dense-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = (): string => path.join(root, `index-${folders++}`);

const words = ["lima", "peru", "owl", "night", "capital", "song", "berlin", "peso", "chile", "moon"];
const passagesOf = (count: number): StoredPassage[] =>
  Array.from({ length: count }, (_, row) => ({
    id: `p${row}`,
    title: row % 3 === 0 ? "" : `Title ${words[row % 10]}`,
    text: `${words[(row * 7) % 10]} ${words[(row * 3 + 1) % 10]} number ${row}`,
  }));
async function* batched(passages: readonly StoredPassage[], size = 100): AsyncGenerator<StoredPassage[]> {
  for (let first = 0; first < passages.length; first += size) yield passages.slice(first, first + size);
}
const corpusOf = (passages: readonly StoredPassage[]): string => {
  const file = path.join(root, `corpus-${folders++}.jsonl`);
  writeFileSync(file, passages.map((passage) => JSON.stringify(passage)).join("\n"));
  return file;
};

const thousand = passagesOf(1000);
const corpus = corpusOf(thousand);
const build = (out: string, options: Partial<BuildDenseOptions> = {}): ReturnType<typeof buildDenseIndex> =>
  buildDenseIndex({
    out,
    ...(options.passages === undefined ? { corpus: [corpus] } : {}),
    ...(options.vectors === undefined ? { encoder: new WordEncoder() } : {}),
    ...options,
  });
const manifestOf = (out: string): DenseManifest =>
  JSON.parse(readFileSync(path.join(out, "index.json"), "utf8")) as DenseManifest;
const texts = (calls: readonly string[][]): string[] => calls.flat();

/** Kept for comparison: an index that was built in one go. */
const whole = fresh();
await build(whole);

async function failureOf(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

describe("buildDenseIndex", () => {
  it("writes what openDenseIndex finds again: passages, order, encoder", async () => {
    const out = fresh();
    const progress: Parameters<NonNullable<BuildDenseOptions["onProgress"]>>[0][] = [];
    const source = { location: "/models/words" };
    const encoder = new WordEncoder({ source });
    const summary = await build(out, { encoder, total: 1000, onProgress: (moment) => void progress.push(moment) });
    expect(summary).toMatchObject({ passages: 1000, dimensions: 16, encoder: "words", resumedFrom: 0, notes: [] });
    expect(progress.map(({ passages }) => passages)).toEqual([256, 512, 768, 1000]);
    expect(progress.every(({ total, perSecond }) => total === 1000 && perSecond > 0)).toBe(true);
    expect(progress[3].bytes).toBe(progress[3].totalBytes);
    expect(texts(encoder.calls)).toEqual(thousand.map(passageText));
    expect(readdirSync(path.join(out, manifestOf(out).generation)).sort()).toEqual(
      Object.keys(manifestOf(out).files).sort(),
    );
    const { nearest, encoderSource } = await openDenseIndex(out, { threads: 1 });
    expect([nearest.count, nearest.dimensions, nearest.encoder, encoderSource]).toEqual([1000, 16, "words", source]);
    for (const row of [0, 500, 999]) {
      const [[best]] = await nearest.search(unitWordVectors([passageText(thousand[row])]), 1);
      expect(best.score).toBeCloseTo(1, 5);
      expect(passageText(best)).toBe(passageText(thousand.find(({ id }) => id === best.id)!));
    }
    await nearest.close();
  });

  it("goes on after kill -9, and the index is that of a build in one go", async () => {
    const out = fresh();
    const child = spawn(
      process.execPath,
      ["--import", "tsx", fileURLToPath(new URL("./build-child.test-support.ts", import.meta.url)), corpus, out],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    child.stdout.on("data", (data: Buffer) => {
      if (/^512$/m.test(String(data))) child.kill("SIGKILL");
    });
    const ended = await new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal)));
    expect(ended).toBe("SIGKILL");
    expect(existsSync(path.join(out, "index.json"))).toBe(false);
    const encoder = new WordEncoder();
    const summary = await build(out, { encoder });
    expect(summary.resumedFrom).toBe(512);
    expect(texts(encoder.calls)).toEqual(thousand.slice(summary.resumedFrom).map(passageText));
    expect(manifestOf(out).files).toEqual(manifestOf(whole).files);
    expect(readdirSync(out).sort()).toEqual([manifestOf(out).generation, "index.json"]);
  });

  it("leaves out and names passages that the encoder's endpoint refuses; stopped and gone on, the index is the same", async () => {
    const lacking = [5, 6, 255, 256, 700, 999].map((row) => thousand[row]);
    const isRefused = (text: string): boolean => lacking.some((passage) => text === passageText(passage));
    const once = fresh();
    const summary = await build(once, { encoder: refusing(new WordEncoder(), isRefused) });
    expect(summary.passages).toBe(994);
    expect(summary.leftOut).toEqual(lacking.map(({ id }) => ({ id, place: Number(id.slice(1)), why: "too long." })));
    expect(summary.notes[0]).toMatch(
      /^6 passages are not in the index.*refuses them: "p5" \(too long\), "p6", "p255", "p256", "p700", "p999"\./,
    );
    const others = fresh();
    await build(others, { passages: batched(thousand.filter((passage) => !lacking.includes(passage))) });
    expect(manifestOf(once).files).toEqual(manifestOf(others).files);

    const out = fresh();
    const failing = new WordEncoder({
      before: (given) => {
        if (given.includes(passageText(thousand[800])))
          throw new SearchError("down", { engine: "dense", isRetryable: true });
      },
    });
    await failureOf(build(out, { encoder: refusing(failing, isRefused) }));
    const changed = thousand.with(6, { ...thousand[6], id: "other" });
    expect((await failureOf(build(out, { passages: batched(changed) }))).message).toMatch(/of another corpus/);
    const encoder = new WordEncoder();
    const again = await build(out, { encoder: refusing(encoder, isRefused) });
    expect(again).toMatchObject({ passages: 994, resumedFrom: 763, leftOut: summary.leftOut });
    expect(texts(encoder.calls)).toHaveLength(231);
    expect(manifestOf(out).files).toEqual(manifestOf(once).files);
  });

  it("ends, in words, when an endpoint refuses more than a tenth, or all", async () => {
    const out = fresh();
    const most = refusing(new WordEncoder(), (text) => text.length % 3 === 0);
    const failure = await failureOf(build(out, { encoder: most }));
    expect(failure).toBeInstanceOf(UserError);
    expect(failure.message).toMatch(
      /refuses \d+ of the first 256 passages, among them "p\d+" \(too long\).* and \d+ more.*--chunk/,
    );
    const one = build(out, {
      passages: batched(thousand.slice(0, 1)),
      encoder: refusing(new WordEncoder(), () => true),
    });
    expect((await failureOf(one)).message).toMatch(/refuses 1 of the first 1 passages, among them "p0" \(too long\)/);
    expect(existsSync(path.join(out, "index.json"))).toBe(false);
  });

  it("keeps what was encoded when the encoder fails or the caller stops", async () => {
    const out = fresh();
    const failing = new WordEncoder({
      before: (given) => {
        if (given.includes(passageText(thousand[700])))
          throw new SearchError("down", { engine: "dense", isRetryable: true });
      },
    });
    expect((await failureOf(build(out, { encoder: failing }))).message).toBe("down");
    const controller = new AbortController();
    const reason = new Error("stop");
    const stopping = build(out, {
      encoder: new WordEncoder({ waitMs: 5 }),
      signal: controller.signal,
      onProgress: ({ passages, resumedFrom }) => {
        expect(resumedFrom).toBe(512);
        if (passages >= 768) controller.abort(reason);
      },
    });
    await expect(stopping).rejects.toBe(reason);
    const encoder = new WordEncoder();
    expect((await build(out, { encoder })).resumedFrom).toBe(768);
    expect(texts(encoder.calls)).toHaveLength(232);
    expect(manifestOf(out).files).toEqual(manifestOf(whole).files);
  });

  it("does not go on with another corpus or encoder, unless told to begin anew", async () => {
    const out = fresh();
    const stop = (): Partial<BuildDenseOptions> => ({
      encoder: new WordEncoder({
        before: (given) => {
          if (given.includes(passageText(thousand[999]))) throw new Error("stop");
        },
      }),
    });
    await failureOf(build(out, stop()));
    const other = thousand.map((passage, row) => (row === 100 ? { ...passage, text: "changed" } : passage));
    for (const given of [
      { passages: batched(other) },
      { passages: batched(thousand.slice(0, 300)) },
      { encoder: new WordEncoder({ name: "others" }) },
    ]) {
      const failure = await failureOf(build(out, given));
      expect(failure).toBeInstanceOf(UserError);
      expect(failure.message).toMatch(/unfinished build[^]*--no-resume/);
    }
    const summary = await build(out, { passages: batched(other), resume: false });
    expect([summary.resumedFrom, summary.passages]).toEqual([0, 1000]);
  });

  it("every change to the disk may fail: the old index stays, and the next call finishes", async () => {
    for (const isKilled of [false, true]) {
      let failures = 0;
      for (let failAt = 1; ; failAt++) {
        const out = fresh();
        await build(out, { passages: batched(passagesOf(20)) });
        const { changes, failure } = await onFailingDisk({ folder: out, failAt, isKilled }, () =>
          build(out, { passages: batched(passagesOf(300)), rowsPerCommit: 100 }),
        );
        if (failure !== null) expect(failure).toBeInstanceOf(UserError);
        const { nearest } = await openDenseIndexCheaply(out);
        expect(nearest).toBe(failure === null ? 300 : 20);
        if (failure !== null) {
          failures++;
          dieAsLockHolder(out);
          expect((await build(out, { passages: batched(passagesOf(300)) })).passages).toBe(300);
        }
        if (changes < failAt) break;
      }
      expect(failures).toBeGreaterThan(25);
    }
  });

  it("two builds at once: the second is refused", async () => {
    const out = fresh();
    const first = build(out, { encoder: new WordEncoder({ waitMs: 30 }) });
    expect((await failureOf(build(out))).message).toMatch(/is being changed by process/);
    await first;
  });

  it.each([
    ["neither encoder nor vectors", () => buildDenseIndex({ corpus: [corpus], out: fresh() }), /either an encoder or/],
    [
      "neither corpus nor passages",
      () => buildDenseIndex({ out: fresh(), encoder: new WordEncoder() }),
      /either corpus files or/,
    ],
    ["an empty corpus", () => build(fresh(), { passages: batched([]) }), /empty/],
    ["a folder with other files", () => build(root), /holds other files/],
    ["a file", () => build(corpus), /is a file/],
  ])("refuses %s", async (_, work, message) => {
    const failure = await failureOf(work());
    expect(failure).toBeInstanceOf(UserError);
    expect(failure.message).toMatch(message);
  });
});

describe("vectors made elsewhere", () => {
  const few = passagesOf(50);
  const order = few.map((_, row) => (row * 7) % 50);
  const vectors = unitWordVectors(order.map((row) => passageText(few[row])));
  const source: VectorSource = {
    name: "given.parquet",
    dimensions: 16,
    count: 50,
    async *rows() {
      yield { vectors: vectors.map((value) => value * 3), ids: order.map((row) => few[row].id) };
    },
    close: async () => {},
  };

  it("give the index that the encoder would have given", async () => {
    const [out, encoded] = [fresh(), fresh()];
    const summary = await build(out, { passages: batched(few), vectors: source, vectorsEncoder: { name: "words" } });
    expect(summary).toMatchObject({ passages: 50, normalised: 50, encoder: "words" });
    await build(encoded, { passages: batched(few) });
    const [given, own] = [await openDenseIndex(out, { threads: 1 }), await openDenseIndex(encoded, { threads: 1 })];
    const query = unitWordVectors(["owl number 7"]);
    const [[a], [b]] = [await given.nearest.search(query, 5), await own.nearest.search(query, 5)];
    expect(a.map(({ id }) => id)).toEqual(b.map(({ id }) => id));
    for (const [rank, { score }] of a.entries()) expect(score).toBeCloseTo(b[rank].score, 6);
    await Promise.all([given.nearest.close(), own.nearest.close()]);
  });

  it("that do not fit leave nothing behind", async () => {
    const out = fresh();
    const failure = await failureOf(build(out, { passages: batched(passagesOf(51)), vectors: source }));
    expect(failure.message).toMatch(/50 vectors for 51 passages/);
    expect(readdirSync(out)).toEqual([]);
  });
});

describe("openDenseIndex", () => {
  it("finds the index in a folder's own folder dense", async () => {
    const around = fresh();
    mkdirSync(around);
    cpSync(whole, path.join(around, "dense"), { recursive: true });
    const { nearest } = await openDenseIndex(around, { threads: 1 });
    expect(nearest.count).toBe(1000);
    await nearest.close();
  });

  it.each<[string, (out: string, generation: string) => void, RegExp]>([
    ["nothing there", (out) => rmSync(path.join(out, "index.json")), /There is no dense index[^]*sleuth index/],
    [
      "a changed manifest",
      (out) => change(path.join(out, "index.json"), '"dimensions": 16', '"dimensions": 8'),
      /checksum does not match/,
    ],
    ["another version", (out) => change(path.join(out, "index.json"), '"version": 1', '"version": 9'), /of version 9/],
    [
      "another kind of index",
      (out) => change(path.join(out, "index.json"), "sleuth-dense", "sleuth-bm25"),
      /another kind of index \(sleuth-bm25\)/,
    ],
    [
      "vectors cut off",
      (_, generation) => cut(path.join(generation, "vectors.f32")),
      /vectors.f32: it has 63996 bytes where 64000/,
    ],
    [
      "a vector changed",
      (_, generation) => flip(path.join(generation, "vectors.f32")),
      /vectors.f32: its content has changed/,
    ],
    [
      "offsets changed",
      (_, generation) => flip(path.join(generation, "passage-offsets.f64")),
      /passage-offsets.f64: its content has changed/,
    ],
    [
      "passages missing",
      (_, generation) => rmSync(path.join(generation, "passages.jsonl")),
      /passages.jsonl: it cannot be read \(ENOENT\)/,
    ],
  ])("refuses %s", async (_, damage, message) => {
    const out = fresh();
    cpSync(whole, out, { recursive: true });
    damage(out, path.join(out, manifestOf(out).generation));
    const failure = await failureOf(openDenseIndex(out, { threads: 1 }));
    expect(failure).toBeInstanceOf(UserError);
    expect(failure.message).toMatch(message);
  });

  it.each([
    ["dimensions", { dimensions: 15 }],
    ["passages", { passages: 1 }],
    ["a name that is a path", { generation: "../elsewhere" }],
    ["no files", { files: {} }],
    ["dimensions of another type", { dimensions: "8" }],
  ])("a manifest whose checksum is right and that does not fit its files: %s", async (_, change) => {
    const out = fresh();
    cpSync(whole, out, { recursive: true });
    const { content } = parseChecksummed(JSON.stringify(manifestOf(out)));
    writeFileSync(path.join(out, "index.json"), withChecksum({ ...content, ...change }));
    await expect(openDenseIndex(out, { threads: 1 })).rejects.toThrow(/The dense index is damaged: .*index\.json/);
  });

  it("a passage that was changed is an error when it is read", async () => {
    const out = fresh();
    cpSync(whole, out, { recursive: true });
    flip(path.join(out, manifestOf(out).generation, "passages.jsonl"));
    const { nearest } = await openDenseIndex(out, { threads: 1 });
    await expect(nearest.search(unitWordVectors(["owl"]), 1000)).rejects.toBeInstanceOf(SearchError);
    await nearest.close();
  });
});

/** How many passages the committed index has, without starting a worker. */
async function openDenseIndexCheaply(out: string): Promise<{ nearest: number }> {
  const manifest = await readDenseManifest(out);
  for (const [name, { bytes }] of Object.entries(manifest.files))
    expect(readFileSync(path.join(out, manifest.generation, name)).length).toBe(bytes);
  return { nearest: manifest.passages };
}

function change(file: string, from: string, to: string): void {
  const text = readFileSync(file, "utf8");
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
}

function cut(file: string): void {
  writeFileSync(file, readFileSync(file).subarray(0, -4));
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] ^= 1;
  writeFileSync(file, bytes);
}
