import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Analyzer } from "../text/analyzer.js";
import { defaultChunks } from "./chunk.js";
import { documentKind, readDocument } from "./read.js";
import type { DocumentKind } from "./read.js";
import { encryptedPdf, makePdf } from "./pdf.test-support.js";

const bytesOf = (content: string | Uint8Array): Uint8Array =>
  typeof content === "string" ? Buffer.from(content) : content;

/** Title and text of the passages, however short the sections are. */
const read = async (content: string | Uint8Array, kind: DocumentKind, path = "notes/first.md", words = 100) => {
  const passages = await readDocument(bytesOf(content), kind, path, { ...defaultChunks, words, fewest: 0 });
  return passages.map(({ title, text }) => ({ title, text }));
};

const markdown = `---
title: "The guide"
tags: [a, b]
---

Before any heading.

# Start *here* with \`code\`

Text one.

\`\`\`js
# not a heading
const x = 1;
\`\`\`

## Empty

Second level
------------

| a | b |
|---|---|
| 1 | 2 |

### Third

- item
- other
`;

describe("Markdown", () => {
  it("is cut at its headings, with code and tables kept", async () => {
    expect(await read(markdown, "markdown")).toEqual([
      { title: "The guide", text: "Before any heading." },
      {
        title: "The guide › Start here with code",
        text: "Text one.\n\n```js\n# not a heading\nconst x = 1;\n```",
      },
      { title: "The guide › Start here with code", text: "Empty" },
      { title: "The guide › Start here with code › Second level", text: "| a | b |\n|---|---|\n| 1 | 2 |" },
      { title: "The guide › Start here with code › Second level › Third", text: "- item\n- other" },
    ]);
  });

  it("takes its title from its only top heading, else from its name", async () => {
    expect(await read("# One\n\na\n\n## Two\n\nb", "markdown")).toEqual([
      { title: "One", text: "a" },
      { title: "One › Two", text: "b" },
    ]);
    expect((await read("# A\n\na\n\n# B\n\nb", "markdown")).map(({ title }) => title)).toEqual([
      "first › A",
      "first › B",
    ]);
    expect(await read("---\n\nA rule is no front matter.\n\n---\n\nb", "markdown")).toHaveLength(1);
  });

  it("decodes the entities of headings, but not of code in them", async () => {
    const source = "# Caf&eacute; R&amp;D `&amp;`\n\nM&uuml;nchen";
    expect(await read(source, "markdown")).toEqual([{ title: "Café R&D &amp;", text: "M&uuml;nchen" }]);
  });

  it("keeps every word in its passages and their titles, in order (property)", async () => {
    const line = fc.constantFrom(
      "# head one",
      "## head two",
      "plain words here",
      "",
      "- item",
      "> quote",
      "```",
      "| a | b |",
      "text",
      "===",
      "1. first",
    );
    const everyWord = new Analyzer({ stopWords: [], stemmer: "none" });
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 30 }), fc.integer({ min: 3, max: 20 }), async (lines, words) => {
        const source = lines.join("\n");
        const wanted = everyWord.terms(source);
        if (wanted.length === 0) return;
        const passages = await read(source, "markdown", "x.md", words);
        // A heading's words are in the titles of what follows it; texts alone keep the order of the rest.
        const texts = everyWord.terms(passages.map(({ text }) => text).join("\n"));
        const all = new Set(everyWord.terms(passages.map(({ title, text }) => `${title}\n${text}`).join("\n")));
        expect(wanted.filter((word) => !all.has(word))).toEqual([]);
        expect(isSubsequence(texts, wanted)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

describe("what stands about a Markdown text", () => {
  it.each([
    ['---\ntitle: A guide # of ours\nSchlüssel: x\n"quoted key": [1,\n 2]\ntags:\n- a\n---\n\ntext', "A guide"],
    ["---\ntitle: >-\n  A guide\n  to it\ndate: 2026-01-01\n...\ntext", "A guide to it"],
    ["---\n'title': 'It''s a guide'\n---\ntext", "It's a guide"],
    ['+++\ntitle = "A \\"guide\\""\n[params]\nkey = [1, 2]\n+++\n\ntext', 'A "guide"'],
  ])("%j is left out but for its title", async (source, title) => {
    expect(await read(source, "markdown")).toEqual([{ title, text: "text" }]);
  });

  it("is kept where it is a rule and a paragraph", async () => {
    for (const source of ["---\nNo key here\n---\ntext", "+++ is no front matter"])
      expect((await read(source, "markdown")).map(({ title, text }) => `${title} ${text}`).join(" ")).toMatch(
        /No key here|is no front matter/,
      );
  });

  it("gives the description and the address", async () => {
    const source = "---\ndescription: Getting rid of npm\nurl: https://x.example/a/\n---\n# Removal {#gone}\n\nRun it.";
    const settings = { ...defaultChunks, fewest: 0 };
    expect(await readDocument(bytesOf(source), "markdown", "a.md", settings)).toEqual([
      { title: "Removal", text: "Getting rid of npm", url: "https://x.example/a/" },
      { title: "Removal", text: "Run it.", url: "https://x.example/a/#gone" },
    ]);
    const [passage] = await readDocument(bytesOf("text"), "text", "a.txt", settings, {
      url: "https://y.example/a.txt",
    });
    expect(passage.url).toBe("https://y.example/a.txt");
  });

  it("comments and ids of headings are left out, but not of code", async () => {
    const source =
      "# One {#first .wide}\n\n<!-- hidden\n\nwords -->\n\na <!-- x --> b `<!-- code -->`\n\n```\n<!-- kept {#id} -->\n```";
    expect(await read(source, "markdown")).toEqual([
      { title: "One", text: "a  b `<!-- code -->`\n\n```\n<!-- kept {#id} -->\n```" },
    ]);
  });

  it("a long table repeats its head", async () => {
    const rows = Array.from({ length: 40 }, (_, row) => `| option${row} | does the thing number ${row} |`);
    const passages = await read(`| name | meaning |\n|---|---|\n${rows.join("\n")}`, "markdown");
    expect(passages.length).toBeGreaterThan(2);
    for (const { text } of passages) expect(text).toMatch(/^\| name \| meaning \|\n\|---\|---\|\n\| option/);
  });
});

it("HTML's tables are lines with their header, terms stay with what explains them, and ids and canonical links are addresses", async () => {
  const rows = Array.from(
    { length: 40 },
    (_, row) => `<tr><td><p>option${row}</p></td><td><div>does thing ${row}</div></td></tr>`,
  );
  const html = `<html><head><title>Guide</title><link rel="canonical" href="https://x.example/g"></head><body>
    <section id="table"><h2>Options</h2><table><thead><tr><th>name</th><th>meaning</th></tr></thead>${rows.join("")}</table></section>
    <h2 id="terms">Terms</h2><dl><dt id="tmout">TMOUT</dt><dd><p>Seconds until the shell ends.</p></dd></dl>
    <pre>a\n  b</pre></body></html>`;
  const passages = await readDocument(bytesOf(html), "html", "g.html", { ...defaultChunks, fewest: 0 });
  const tables = passages.slice(0, -1);
  expect(tables.length).toBeGreaterThan(2);
  for (const { text, url } of tables) {
    expect(text).toMatch(/^name \| meaning\noption\d+ \| does thing \d+\n/);
    expect(url).toBe("https://x.example/g#table");
  }
  expect(passages[passages.length - 1]).toEqual({
    title: "Guide › Terms",
    text: "TMOUT\nSeconds until the shell ends.\n\na\n  b",
    section: "Terms",
    url: "https://x.example/g#tmout",
  });
});

function isSubsequence(short: readonly string[], long: readonly string[]): boolean {
  let place = 0;
  for (const word of long) if (word === short[place]) place++;
  return place === short.length;
}

describe("text", () => {
  const text = "Señor Müller isst Äpfel.";
  it.each([
    ["UTF-8", Buffer.from(text)],
    ["UTF-8 with a mark", Buffer.from("\ufeff" + text)],
    ["UTF-16, little end first", Buffer.from("\ufeff" + text, "utf16le")],
    ["UTF-16, big end first", Buffer.from("\ufeff" + text, "utf16le").swap16()],
    ["Latin-1", Buffer.from(text, "latin1")],
  ])("is read in %s", async (_name, bytes) => {
    expect(await read(bytes, "text", "a/über.txt")).toEqual([{ title: "über", text }]);
  });

  it("is read in Windows-1252 with its quotation marks, which are no control characters", async () => {
    const bytes = Buffer.from("\x93M\xfcller\x94 \x96 5 \x80", "latin1");
    expect(await read(bytes, "text", "a.txt")).toEqual([{ title: "a", text: "“Müller” – 5 €" }]);
  });

  it("stays UTF-8 with a stray byte", async () => {
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from([0xe9])]);
    expect(await read(bytes, "text", "a.txt")).toEqual([{ title: "a", text: `${text}\ufffd` }]);
  });

  it.each([
    ["empty", "", "it is empty"],
    ["blank", " \n\n ", "it holds no text"],
    ["no text at all", Buffer.from([1, 0, 2, 0, 200, 0]), "zero bytes"],
  ])("that is %s is refused", async (_name, content, why) => {
    await expect(read(content, "text")).rejects.toThrow(why);
  });
});

it("HTML is cut at its headings, without scripts and navigation", async () => {
  const html = `<html><head><title>Peru</title></head><body><nav>Home</nav><h1>Peru</h1><p>A country.</p>
    <h2>Capital</h2><p>Lima.</p><script>var secret;</script></body></html>`;
  expect(await read(html, "html")).toEqual([
    { title: "Peru", text: "A country." },
    { title: "Peru › Capital", text: "Lima." },
  ]);
});

describe("the charset that a page names", () => {
  it.each<[string, string, number[]]>([
    ["gb2312", "北京的秋天", [0xb1, 0xb1, 0xbe, 0xa9, 0xb5, 0xc4, 0xc7, 0xef, 0xcc, 0xec]],
    ["Shift_JIS", "東京の秋", [0x93, 0x8c, 0x8b, 0x9e, 0x82, 0xcc, 0x8f, 0x48]],
    [
      "windows-1251",
      "Осень в Москве",
      [0xce, 0xf1, 0xe5, 0xed, 0xfc, 0x20, 0xe2, 0x20, 0xcc, 0xee, 0xf1, 0xea, 0xe2, 0xe5],
    ],
    [
      "ISO-8859-2",
      "Jesień w Łodzi",
      [0x4a, 0x65, 0x73, 0x69, 0x65, 0xf1, 0x20, 0x77, 0x20, 0xa3, 0x6f, 0x64, 0x7a, 0x69],
    ],
    ["euc-kr", "서울의 가을 똠", [0xbc, 0xad, 0xbf, 0xef, 0xc0, 0xc7, 0x20, 0xb0, 0xa1, 0xc0, 0xbb, 0x20, 0x8c, 0x63]],
  ])("%s, by meta and by XML declaration", async (charset, text, encoded) => {
    const page = (start: string): Buffer =>
      Buffer.concat([Buffer.from(`${start}<body><p>`), Buffer.from(encoded), Buffer.from("</p></body></html>")]);
    for (const start of [
      `<html><head><meta charset="${charset}"></head>`,
      `<html><head><META http-equiv="Content-Type" content="text/html; charset=${charset}"></head>`,
      `<?xml version="1.0" encoding="${charset}"?>\n<html xmlns="http://www.w3.org/1999/xhtml">`,
    ])
      expect(await read(page(start), "html", "page.html")).toEqual([{ title: "page", text }]);
  });
});

describe("composed characters, and none that only lay out", () => {
  const decomposed = "Mu\u0308ller ko\u00adope\u00adriert\u2060 mit \u200eA\u030angstro\u0308m";
  const text = "Müller kooperiert mit Ångström";

  it.each<[DocumentKind, string]>([
    ["text", decomposed],
    ["markdown", decomposed],
    ["html", `<p>${decomposed}</p>`],
    ["html", "<p>Mu&#x308;ller ko&shy;ope&shy;riert&NoBreak; mit &lrm;A&#778;ngstro&#776;m</p>"],
  ])("in %s", async (kind, content) => {
    expect(await read(content, kind, "a.x")).toEqual([{ title: "a", text }]);
  });

  it("in titles and headings, and in names that stand for them", async () => {
    expect(await read("# U\u0308ber &shy;uns\n\nx\n\n## A\u0308mter\n\ny", "markdown")).toEqual([
      { title: "Über uns", text: "x" },
      { title: "Über uns › Ämter", text: "y" },
    ]);
    expect(await read("x", "text", "docs/u\u0308ber.txt")).toEqual([{ title: "über", text: "x" }]);
  });
});

describe("PDF", () => {
  it("is read page by page", async () => {
    const pdf = makePdf({
      title: "A report",
      pages: [["The first page is here."], [], ["The third page", "has two lines."]],
    });
    expect(await read(pdf, "pdf")).toEqual([
      { title: "A report › page 1", text: "The first page is here." },
      { title: "A report › page 3", text: "The third page\nhas two lines." },
    ]);
  });

  it.each([
    ["broken", Buffer.from("%PDF-1.4\nrubbish"), /cannot be read as a PDF/],
    ["no PDF", Buffer.from("hello"), /cannot be read as a PDF/],
    ["encrypted", encryptedPdf(), /encrypted/],
    ["without text", makePdf({ pages: [[]] }), /holds no text/],
  ])("that is %s is refused", async (_name, bytes, why) => {
    await expect(read(bytes, "pdf")).rejects.toThrow(why);
  });
});

it("kinds are told by the ending, in any case", () => {
  expect(["a.MD", "b/c.markdown", "x.htm", "x.pdf", "x.log", "x.png", "Makefile", ".md"].map(documentKind)).toEqual([
    "markdown",
    "markdown",
    "html",
    "pdf",
    "text",
    undefined,
    undefined,
    "markdown",
  ]);
});

it.each([
  ["# Pino [![CI](ci.svg)](ci) ![npm](npm.svg)", "Pino"],
  ["# [![Logo of Pino](logo.svg)](https://example.org)", "Logo of Pino"],
])("badges leave headings of Markdown: %s", async (heading, title) => {
  expect(await read(`${heading}\n\nText.`, "markdown")).toMatchObject([{ title, text: "Text." }]);
});
