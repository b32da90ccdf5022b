import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadCorpus } from "./corpus.js";
import { defaultChunks } from "./chunk.js";
import { endingCounts, findSources, globMatcher } from "./find.js";
import type { FoundDocument } from "./find.js";
import { gatherPassages } from "./gather.js";
import type { Gathered } from "./gather.js";
import { DocumentParser } from "./parser.js";
import { encryptedPdf, makePdf } from "./pdf.test-support.js";

let base: string;
let root: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "sleuth-documents-"));
  root = join(base, "library");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

async function pathsOf(...args: Parameters<typeof findSources>): Promise<string[]> {
  return (await findSources(...args)).documents.map(({ path }) => path);
}

describe("findSources", () => {
  it("finds documents in the order of their names, and not what is hidden or leads out", async () => {
    for (const path of [
      "b.md",
      "a/z.txt",
      "a/A.html",
      ".git/x.md",
      "a/.hidden.md",
      "node_modules/m/readme.md",
      "x.png",
    ])
      put(path, "text");
    writeFileSync(join(base, "outside.md"), "text");
    mkdirSync(join(base, "elsewhere"));
    writeFileSync(join(base, "elsewhere", "far.md"), "text");
    symlinkSync(join(base, "outside.md"), join(root, "out.md"));
    symlinkSync(join(root, "b.md"), join(root, "c.md"));
    symlinkSync(join(base, "elsewhere"), join(root, "linked"));
    symlinkSync(root, join(root, "loop"));
    symlinkSync(join(root, "nothing.md"), join(root, "dangling.md"));
    expect(await pathsOf([root])).toEqual(["library/a/A.html", "library/a/z.txt", "library/b.md", "library/c.md"]);
    expect(await pathsOf([root], { exclude: ["a", "c.*"] })).toEqual(["library/b.md"]);
    expect(await pathsOf([root], { include: ["*.png", "a/*.txt"] })).toEqual(["library/a/z.txt", "library/x.png"]);
  });

  it("tells documents from JSONL files", async () => {
    put("b.md", "text");
    put("corpus.jsonl", "{}");
    const { corpora, documents } = await findSources([join(root, "b.md"), join(root, "corpus.jsonl")]);
    expect(corpora).toEqual([join(root, "corpus.jsonl")]);
    expect(documents.map(({ path }) => path)).toEqual(["b.md"]);
  });

  it("names documents as they were named, below the current folder", async () => {
    expect(await pathsOf(["README.md", "./src/README.md"])).toEqual(["README.md", "src/README.md"]);
  });

  it("counts what no reader takes by ending, but not what is hidden, excluded or asked for by patterns", async () => {
    for (const path of ["a.md", "x/1.gz", "x/2.GZ", "b.png", "Makefile", "Mr. Smith's notes", ".git/c.gz", "skip/d.gz"])
      put(path, "text");
    const { others } = await findSources([root], { exclude: ["skip"] });
    expect(endingCounts(others)).toBe("2 without an ending, 2 .gz, 1 .png");
    expect((await findSources([root], { include: ["*.md"] })).others.size).toBe(0);
    const many = new Map(Array.from({ length: 12 }, (_, at) => [`.${at}`, 12 - at]));
    expect(endingCounts(many)).toMatch(/^12 \.0, .*5 \.7, 10 with other endings$/);
  });

  it("leaves out folders and documents that cannot be looked at, and names them", async () => {
    put("a.md", "text");
    const bytes = (name: string): Buffer => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, "latin1")]);
    // Some file systems take no such names; others than Linux.
    if (process.platform === "linux") {
      writeFileSync(bytes("M\xfcller.md"), "text");
      mkdirSync(bytes("B\xfccher"));
      writeFileSync(bytes("M\xfcller.png"), "");
    }
    const { documents: found, skipped, others } = await findSources([root]);
    expect(found.map(({ path }) => path)).toEqual(["library/a.md"]);
    if (process.platform !== "linux") return;
    expect(skipped.map(({ file }) => file)).toEqual([join(root, "B\ufffdcher"), join(root, "M\ufffdller.md")]);
    expect(skipped[0].why).toContain("its name is not UTF-8");
    expect(endingCounts(others)).toBe("1 .png");
    await expect(findSources([join(root, "M\ufffdller.md")])).rejects.toThrow("its name is not UTF-8");
  });

  it("says what a folder without documents holds", async () => {
    mkdirSync(root);
    await expect(findSources([root])).rejects.toThrow("library holds no document. Documents end with");
    for (const path of ["a.gz", "b/c.gz", "d.png"]) put(path, "");
    await expect(findSources([root])).rejects.toThrow("holds no document, only 2 .gz, 1 .png.");
    put("notes.md.gz", "");
    await expect(findSources([join(root, "notes.md.gz")])).rejects.toThrow(
      "packed document. Unpack it, and name notes.md",
    );
  });

  it("says what is wrong", async () => {
    await expect(findSources([join(base, "nowhere")])).rejects.toThrow("Check the path");
    await expect(findSources([join(base, "nowhere", "*.md")])).rejects.toThrow("--include");
    put("x.png", "");
    await expect(findSources([root])).rejects.toThrow("holds no document");
    await expect(findSources([root], { include: ["[z-a].md"] })).rejects.toThrow("no pattern");
    put("one/x.md", "");
    put("two/x.md", "");
    await expect(findSources([join(root, "one/x.md"), join(root, "two/x.md")])).rejects.toThrow("both be called x.md");
  });
});

it.each([
  ["*.md", "a/b.md", true],
  ["*.md", "a/b.mdx", false],
  ["a/*.md", "a/b/c.md", false],
  ["a/**", "a/b/c.md", true],
  ["**/c.md", "c.md", true],
  ["**/c.md", "a/b/c.md", true],
  ["draft-?.{md,txt}", "x/draft-1.txt", true],
  ["[!a]*.md", "abc.md", false],
  ["[a-c]*.md", "bcd.md", true],
  ["a+(b).md", "a+(b).md", true],
  ["{a.md", "{a.md", true],
  ["{a*.md", "{ab.md", true],
  ["a{1..3}.md", "a2.md", true],
  ["a{1..3}.md", "a4.md", false],
  ["a{1..12}.md", "a11.md", true],
  ["a{1..12}.md", "a3.md", true],
  ["a{1..12}.md", "a13.md", false],
  ["a{01..12}.md", "a03.md", true],
  ["@(a|b).md", "x/a.md", true],
  ["@(a|b).md", "ab.md", false],
  ["a+(b).md", "abb.md", true],
  ["!(a|b).md", "c.md", true],
  ["!(a|b).md", "a.md", false],
  ["!*.md", "x/a.md", false],
  ["!*.md", "x/a.txt", true],
  ["!docs/**", "docs", false],
  ["!docs/**", "src/a.md", true],
  ["docs/**", "docs", true],
  ["docs/**", "docs/a/b.md", true],
  ["docs/**", "docsx", false],
  ["[!a]*.md", "bcd.md", true],
  ["report (1)*.md", "report (1)b.md", true],
  ["a|b*", "a|bc", true],
  ["#*.md", "#a.md", true],
  ["a?.md", "a🦉.md", true],
  ["*.md", ".hidden.md", true],
  ["*.MD", "a.md", false],
  ["[a-c].md", "B.md", false],
])("the pattern %s and %s: %s", (pattern, path, fits) => {
  expect(globMatcher(pattern)(path)).toBe(fits);
});

it("takes patterns with the separators of Windows there, where elsewhere a backslash makes a sign literal", () => {
  expect(globMatcher("guides\\*.md", "\\")("guides/a.md")).toBe(true);
  expect(globMatcher("guides\\**", "\\")("guides/a/b.md")).toBe(true);
  expect(globMatcher("a\\*.md", "/")("a*.md")).toBe(true);
  expect(globMatcher("a\\*.md", "/")("ab.md")).toBe(false);
});

it.each(["", "[z-a].md", "a/[x9-0]"])("the pattern %j is none", (pattern) => {
  expect(() => globMatcher(pattern)).toThrow("no pattern");
});

it("looks at 100,000 paths quickly", () => {
  const fits = globMatcher("**/draft-*.{md,txt}");
  const paths = Array.from({ length: 100_000 }, (_, at) => `guides/${at % 97}/draft-${at}.${at % 2 ? "md" : "html"}`);
  const started = performance.now();
  expect(paths.filter(fits)).toHaveLength(50_000);
  expect(performance.now() - started).toBeLessThan(5_000);
});

describe("gatherPassages", () => {
  const parser = new DocumentParser();
  afterAll(() => parser.close());
  const gather = async (options: Partial<Parameters<typeof gatherPassages>[1]> = {}): Promise<Gathered> =>
    gatherPassages(await documents(), {
      folder: join(base, "gathered"),
      chunks: defaultChunks,
      parser,
      ...options,
    });
  const documents = async (): Promise<FoundDocument[]> => (await findSources([root])).documents;
  const corpus = (): string => readFileSync(join(base, "gathered", "passages.jsonl"), "utf8");

  it("reads a folder of every kind, and names what it leaves out", async () => {
    put("a.md", "# Lima\n\nThe capital.\n");
    put("b/c.txt", Buffer.from("Über Lima", "latin1"));
    put("b/page.html", "<title>Peru</title><nav>Home</nav><p>A country.");
    put("d.pdf", makePdf({ pages: [["A page."]] }));
    put("e-broken.pdf", "%PDF-1.4 rubbish");
    put("f-secret.pdf", encryptedPdf());
    put("g-empty.md", "");
    put("h-binary.txt", new Uint8Array([0, 1, 2, 0]));
    put("i-large.txt", "");
    truncateSync(join(root, "i-large.txt"), 200 * 1024 * 1024);
    const told: number[] = [];
    const gathered = await gather({ onProgress: ({ doneBytes, totalBytes }) => told.push(doneBytes / totalBytes) });
    expect(gathered).toMatchObject({ documents: 4, passages: 4, resumed: 0 });
    expect(gathered.skipped.map(({ file, why }) => [file.slice(root.length + 1), why])).toEqual([
      ["e-broken.pdf", expect.stringContaining("cannot be read as a PDF")],
      ["f-secret.pdf", expect.stringContaining("encrypted")],
      ["g-empty.md", "it is empty"],
      ["h-binary.txt", expect.stringContaining("zero bytes")],
      ["i-large.txt", expect.stringMatching(/larger than 64 MB: split it, or write it as JSONL/)],
    ]);
    expect(await loadCorpus([gathered.corpus])).toEqual([
      { id: "library/a.md#1", title: "Lima", text: "The capital." },
      { id: "library/b/c.txt#1", title: "c", text: "Über Lima" },
      { id: "library/b/page.html#1", title: "Peru", text: "A country." },
      { id: "library/d.pdf#1", title: "d › page 1", text: "A page.", section: "page 1" },
    ]);
    expect(told[0]).toBe(0);
    expect(told.at(-1)).toBe(1);
    await expect(gather({ folder: join(base, "other"), strict: true })).rejects.toThrow(/e-broken\.pdf.*--strict/);
  });

  it(
    "leaves out by name what takes too much memory, of whatever kind, and reads the next",
    { timeout: 30_000 },
    async () => {
      put("a.md", "# Lima\n\nThe capital.");
      put("b.txt", "Ferries leave at nine. ".repeat(1_500_000));
      put("c.html", "<p>Trains leave at ten.");
      const small = new DocumentParser({ memoryMb: 220 });
      try {
        const gathered = await gather({ parser: small });
        expect(gathered).toMatchObject({
          documents: 2,
          skipped: [{ file: join(root, "b.txt"), why: "it takes more than 220 MB of memory to take apart" }],
        });
        expect(corpus()).toContain("Trains leave at ten.");
      } finally {
        await small.close();
      }
    },
  );

  const ids = async (gathered: Gathered): Promise<string[]> =>
    (await loadCorpus([gathered.corpus])).map(({ id }) => id.replace("library/", ""));
  const prose = Array.from({ length: 60 }, (_, at) => `Ferry ${at} leaves pier ${(at * 7) % 11} at ${at % 24}.`);

  it("leaves out passages with the text of an earlier one, whatever their title, and tells where it stood first", async () => {
    put("a.md", "# Ferries\n\nLeave at nine.\n\n## Trains\n\nLeave at ten.\n");
    put("b/copy.md", "# Ferries\n\nLeave at nine.\n\n## Trains\n\nLeave at ten.\n");
    put("c.md", "# Ships\n\nLeave at nine.\n");
    put("d.md", "# Ships\n\nLeave at one.\n");
    const chunks = { words: 100, overlap: 0 };
    const gathered = await gather({ chunks });
    expect(await ids(gathered)).toEqual(["a.md#1", "a.md#2", "d.md#1"]);
    expect(gathered).toMatchObject({ documents: 4, passages: 3 });
    const at = (path: string): string => join(root, path);
    expect(gathered.repeats).toEqual({
      twins: [],
      duplicates: [
        { file: at("b/copy.md"), of: at("a.md"), passages: 2 },
        { file: at("c.md"), of: at("a.md"), passages: 1 },
      ],
      lines: [],
    });
    const whole = await gather({ chunks, keepsRepeats: true });
    expect(whole).toMatchObject({ passages: 6, resumed: 4, repeats: { duplicates: [] } });
    expect(await ids(whole)).toHaveLength(6);
  });

  it("keeps the better one of two formats of a page", async () => {
    put("guide/page.html", `<h1>Page</h1><p>${prose.join("</p><p>")}</p>`);
    put(
      "guide/_sources/page.rst.txt",
      `Page\n====\n\n.. note:: :ref:\`x\`\n\n${prose.join("\n\n").replaceAll("pier", "**pier**")}`,
    );
    put("guide/other.html", "<h1>Other</h1><p>Nothing of it.</p>");
    put("guide/other.txt", prose.slice(0, 30).join("\n"));
    put(
      "licence.html",
      `<p>${prose.map((line) => `${line} ${line.toUpperCase().replaceAll(/\w+/g, "$&x")}`.repeat(3)).join("</p><p>")}`,
    );
    put("elsewhere/licence.txt", prose.slice(0, 10).join("\n"));
    const { repeats, documents } = await gather();
    expect(documents).toBe(6);
    expect(repeats.twins).toEqual([
      { file: join(root, "guide/_sources/page.rst.txt"), of: join(root, "guide/page.html") },
    ]);
  });

  it("leaves out lines that most documents of a folder begin or end with", async () => {
    for (const number of [1, 2, 3, 4, 5, 6])
      put(
        `many/${number}.txt`,
        `The Harbour Gazette\n\nNews ${number} of the day.\n\n${number < 6 ? "All rights reserved." : "Mine."}\n`,
      );
    for (const number of [1, 2, 3]) put(`few/${number}.txt`, `The Harbour Herald\n\nNote ${number}.\n`);
    const gathered = await gather();
    const texts = (await loadCorpus([gathered.corpus])).map(({ text }) => text);
    expect(texts.slice(0, 4)).toEqual([
      "The Harbour Herald\n\nNote 1.",
      "The Harbour Herald\n\nNote 2.",
      "The Harbour Herald\n\nNote 3.",
      "News 1 of the day.",
    ]);
    expect(texts.at(-1)).toBe("News 6 of the day.\n\nMine.");
    expect(gathered.repeats.lines).toEqual([
      { line: "The Harbour Gazette", documents: 6 },
      { line: "All rights reserved.", documents: 5 },
    ]);
  });

  it("makes the same corpus again, with the same time of change: vectors that were made for it still fit", async () => {
    put("a.md", "# a\n\nOne text.");
    put("b.md", "# b\n\nOne text.");
    const { corpus } = await gather();
    const before = [readFileSync(corpus, "utf8"), statSync(corpus).mtimeMs];
    expect((await gather()).corpus).toBe(corpus);
    expect([readFileSync(corpus, "utf8"), statSync(corpus).mtimeMs]).toEqual(before);
  });

  it("goes on where it was stopped, and reads again what has changed", async () => {
    for (const name of ["a", "b", "c", "d"]) put(`${name}.md`, `# ${name}\n\nText of ${name}.`);
    const controller = new AbortController();
    const reason = new Error("stopped");
    const stopped = gather({
      signal: controller.signal,
      onProgress: (progress) => progress.documents === 2 && controller.abort(reason),
    });
    await expect(stopped).rejects.toBe(reason);
    expect(await gather()).toMatchObject({ documents: 4, resumed: 2 });
    const whole = corpus();
    expect(await gather()).toMatchObject({ documents: 4, resumed: 4 });
    expect(corpus()).toBe(whole);
    // Killed while writing: a half line in each file, and an entry whose passages never came.
    const folder = join(base, "gathered");
    truncateSync(join(folder, "passages.jsonl"), whole.length - 5);
    appendFileSync(join(folder, "journal.jsonl"), '{"path":"libr');
    expect(await gather()).toMatchObject({ resumed: 3 });
    expect(corpus()).toBe(whole);
    put("b.md", "# b\n\nOther text.");
    utimesSync(join(root, "b.md"), 1, 1);
    expect(await gather()).toMatchObject({ resumed: 1 });
    expect(corpus()).toBe(whole.replace("Text of b.", "Other text."));
    expect(await gather({ chunks: { words: 50, overlap: 0 } })).toMatchObject({ resumed: 0 });
  });
});
