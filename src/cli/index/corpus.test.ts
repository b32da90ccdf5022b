import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { lastJson, sleuth, sleuthHere } from "../../../test/run-sleuth.js";
import type { Ended } from "../../../test/run-sleuth.js";
import { lanceIsAbsent } from "../../search/dense/lancedb/library.js";
import { writeTinyBert } from "../../search/dense/tiny-models.test-support.js";
import { makePdf } from "../../search/documents/pdf.test-support.js";

const base = mkdtempSync(join(tmpdir(), "sleuth-index-"));
let encoder = "";
let folder = "";
let tests = 0;

beforeAll(async () => {
  encoder = await writeTinyBert(join(base, "encoder"));
});
beforeEach(() => {
  folder = join(base, `test-${tests++}`);
  mkdirSync(folder);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function put(path: string, content: string | Uint8Array): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const line = (id: string, text: string): string => JSON.stringify({ id, title: `Title ${id}`, text }) + "\n";

/** Ids that a search finds, best first. */
async function found(query: string, ...more: string[]): Promise<string[]> {
  const ended = await sleuthHere(["search", query, "--index", join(folder, "index"), "-k", "3", "--json", ...more]);
  return lastJson<{ hits: { id: string }[] }>(ended).hits.map(({ id }) => id);
}

const index = (...args: string[]): Promise<Ended> =>
  sleuthHere(["index", ...args, "--out", join(folder, "index"), "--json"]);

describe("sleuth index of documents", () => {
  it("indexes a folder of every kind beside a JSONL file, and names what it leaves out", async () => {
    put("library/guide.md", "# Guide\n\nIntroduction.\n\n## Ferries\n\nThe ferry leaves at nine.\n");
    put("library/sub/notes.txt", "Trains leave at ten.");
    put("library/page.html", "<title>Buses</title><script>bad()</script><p>Buses leave at eleven.");
    put("library/paper.pdf", makePdf({ pages: [["Planes leave at noon."]] }));
    put("library/scanned.pdf", makePdf({ pages: [["A cover."], [], []] }));
    put("library/broken.pdf", "%PDF-1.4 no");
    put("library/skip/draft.md", "Rockets.");
    const corpus = put("more.jsonl", line("7", "Ships leave at one."));
    const ended = await index(join(folder, "library"), corpus, "--exclude", "skip");
    expect(ended.status).toBe(0);
    expect(lastJson(ended)).toMatchObject({
      passages: 6,
      documents: 5,
      partial: [{ file: join(folder, "library/scanned.pdf"), why: expect.stringContaining("2 of its 3 pages") }],
      skipped: [{ file: join(folder, "library/broken.pdf"), why: expect.stringContaining("cannot be read as a PDF") }],
    });
    expect(ended.stderr).toMatch(/Reading: 100 %.*[56] documents/);
    expect(ended.stderr).toContain("Left out 1 of 6 documents:");
    expect(ended.stderr).toMatch(/Read in part: 1 document:\n.*scanned\.pdf: 2 of its 3 pages hold no text/);
    expect(await found("ferry")).toEqual(["library/guide.md#1"]);
    expect(await found("planes")).toEqual(["library/paper.pdf#1"]);
    expect(await found("ships")).toEqual(["7"]);
    // What was gathered is not needed any more.
    expect(readdirSync(folder).sort()).toEqual(["index", "library", "more.jsonl"]);
    const strict = await index(join(folder, "library"), "--strict");
    expect(strict).toMatchObject({ status: 1, stderr: expect.stringContaining("broken.pdf") });
  });

  it("shows what it would make, and writes nothing", async () => {
    const file = put("guide.md", `# Guide\n\n${"One two three four five. ".repeat(10)}`);
    const ended = await index(file, "--preview", "2", "--chunk", "10");
    expect(lastJson<{ passages: object[] }>(ended).passages).toEqual([
      { id: "guide.md#1", title: "Guide", text: "One two three four five. One two three four five." },
      { id: "guide.md#2", title: "Guide", text: "One two three four five. One two three four five." },
    ]);
    expect(ended.stderr).toContain("guide.md#1, 10 words");
    expect(readdirSync(folder)).toEqual(["guide.md"]);
    const empty = put("empty.md", "");
    expect(await index(file, empty, "--preview", "99")).toMatchObject({
      status: 0,
      stderr: expect.stringContaining(`Would be left out: ${empty}: it is empty`),
    });
    expect(await index(empty, "--preview", "--strict")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`${empty}: it is empty. Without --strict`),
    });
  });

  // SIGINT is Ctrl-C; SIGKILL leaves no time to put anything in order.
  it.each(["SIGINT", "SIGKILL"] as const)("goes on after %s", { timeout: 60_000 }, async (signal) => {
    const notes = 600;
    for (let number = 0; number < notes; number++)
      put(`library/${number}.md`, `# Note ${number}\n\nAbout thing${number}.\n`);
    const journal = join(folder, "index.gathered", "journal.jsonl");
    const done = (): number => (existsSync(journal) ? readFileSync(journal, "utf8").split("\n").length - 2 : 0);
    let killedAt = 0;
    const args = ["index", join(folder, "library"), "--out", join(folder, "index")];
    const stopped = await sleuth(args, {
      onStart: (child) => {
        void (async () => {
          while (child.exitCode === null && done() < 20) await sleep(2);
          child.kill(signal);
          killedAt = done();
        })();
      },
    });
    expect(killedAt).toBeGreaterThan(19);
    expect(killedAt).toBeLessThan(notes);
    if (signal === "SIGINT")
      expect(stopped).toMatchObject({
        status: 130,
        stderr: expect.stringContaining("the same command goes on from here"),
      });
    expect(existsSync(join(folder, "index", "index.json"))).toBe(false);
    const ended = await index(join(folder, "library"));
    expect(lastJson(ended)).toMatchObject({ passages: notes });
    const resumed = /Went on: (\d+) documents/.exec(ended.stderr)?.[1];
    expect(Number(resumed)).toBeGreaterThanOrEqual(20);
    expect(await found("thing599")).toEqual(["library/599.md#1"]);
  });
});

describe("sleuth index for engines", () => {
  it("makes bm25 and dense side by side", { timeout: 60_000 }, async () => {
    const corpus = put("corpus.jsonl", line("1", "Ferries leave at nine.") + line("2", "Trains leave at ten."));
    const ended = await index(corpus, "--engine", "bm25,dense", "--encoder", encoder);
    expect(ended).toMatchObject({ status: 0 });
    expect(lastJson(ended)).toMatchObject({
      passages: 2,
      engines: { bm25: { out: join(folder, "index", "bm25") }, dense: { out: join(folder, "index", "dense") } },
    });
    expect(await found("ferries")).toEqual(["1"]);
    expect(await found("ferries", "--engine", "dense")).toHaveLength(2);
    const both = await sleuthHere([
      "search",
      "ferries",
      "--index",
      join(folder, "index"),
      "--engine",
      "bm25,dense,bm25+dense",
    ]);
    expect(both.stdout).toContain("bm25+dense in");
    expect(both.stdout).not.toContain("rror");
  });

  it.skipIf(lanceIsAbsent() !== undefined)(
    "makes, extends and searches a LanceDB table (skipped where @lancedb/lancedb is not installed)",
    { timeout: 60_000 },
    async () => {
      const corpus = put("corpus.jsonl", line("1", "Ferries leave at nine.") + line("2", "Trains leave at ten."));
      const ended = await index(corpus, "--engine", "lancedb", "--encoder", encoder);
      expect(lastJson(ended)).toMatchObject({ passages: 2 });
      const more = put("more.jsonl", line("2", "Trams leave at two.") + line("3", "Buses leave at three."));
      expect(lastJson(await index("--add", more, "--delete", "1"))).toMatchObject({
        ...{ passages: 2, deleted: 1, added: 1, replaced: 1 },
      });
      expect((await found("buses")).sort()).toEqual(["2", "3"]);
    },
  );

  it("replaces no index by one of another kind", { timeout: 60_000 }, async () => {
    const corpus = put("corpus.jsonl", line("1", "Ferries leave at nine.") + line("2", "Trains leave at ten."));
    expect(await index(corpus, "--engine", "dense", "--encoder", encoder)).toMatchObject({ status: 0 });
    const refused = { status: 1, stderr: expect.stringContaining("an index of another kind") };
    expect(await index(corpus)).toMatchObject(refused);
    expect(await found("ferries", "--engine", "dense")).toHaveLength(2);
    if (lanceIsAbsent() !== undefined) return;
    expect(await index(corpus, "--engine", "lancedb", "--encoder", encoder)).toMatchObject(refused);
    expect(readdirSync(join(folder, "index")).some((name) => name.endsWith(".lance"))).toBe(false);
  });

  it("deletes no folder beside the index that is not its own", async () => {
    const note = put("guide.md", "# Guide\n\nFerries leave at nine.\n");
    const own = put("index.gathered/passages.jsonl", "my own passages\n");
    const refused = { status: 1, stderr: expect.stringContaining("index.gathered") };
    expect(await index(note)).toMatchObject(refused);
    expect(await index(note, "--no-resume")).toMatchObject(refused);
    expect(readFileSync(own, "utf8")).toBe("my own passages\n");
  });

  it("adds, replaces, deletes and merges", async () => {
    expect((await index(put("a.jsonl", line("1", "Ferries.") + line("2", "Trains.")))).status).toBe(0);
    const added = await index("--add", put("b.jsonl", line("3", "Buses.")), "--no-resume");
    expect(added.stderr).toContain("bm25 needs no --no-resume");
    expect(lastJson(added)).toMatchObject({
      added: 1,
      passages: 3,
    });
    const twice = put("c.jsonl", line("3", "Trams."));
    expect(await index("--add", twice)).toMatchObject({ status: 1, stderr: expect.stringContaining("--replace") });
    expect(lastJson(await index("--add", "--replace", twice))).toMatchObject({ replaced: 1, passages: 3 });
    expect(await found("buses")).toEqual([]);
    expect(await found("trams")).toEqual(["3"]);
    const ids = put("ids.txt", "2\nnobody\n");
    const ended = await index("--delete", "1", "--delete", `@${ids}`, "--merge");
    expect(lastJson(ended)).toMatchObject({ deleted: 2, unknown: ["nobody"], passages: 1 });
    expect(ended.stderr).toContain("No passage has the id nobody");
    expect(await found("ferries trains trams")).toEqual(["3"]);
  });

  it.each([
    [[], "No corpus was given"],
    [["a.jsonl", "--engine", "dense"], "--encoder"],
    [["a.jsonl", "--engine", "bm25,faiss"], 'no index for an engine "faiss"'],
    [["a.jsonl", "--replace"], "goes with --add"],
    [["a.jsonl", "--merge"], "Add --add"],
    [["a.jsonl", "--add", "--vectors", "x.npy"], "--vectors"],
    [["a.jsonl", "--add", "--k1", "2"], "--k1"],
    [["--delete", "7", "--preview"], "--preview"],
    [["a.jsonl", "--chunk", "20", "--overlap", "20"], "must be smaller"],
    [["a.jsonl", "--encoder", "x"], "bm25 has no vectors"],
    [["--merge"], "There is no index in"],
  ])("%j says %s", async (args, why) => {
    expect(await index(...args)).toMatchObject({ status: 1, stderr: expect.stringContaining(why) });
  });
});
