/** @file The kinds of documents whose text a library or a small reader of ours takes out. */
import { describe, expect, it } from "vitest";
import { makeDocx, paragraph } from "./docx.test-support.js";
import { documentKind, readDocument } from "./read.js";
import type { StoredPassage } from "../../types.js";

const read = (content: string | Uint8Array, path: string, words = 100): Promise<Omit<StoredPassage, "id">[]> => {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return readDocument(new Uint8Array(bytes), documentKind(path)!, path, { words, overlap: 0 });
};

/** "title: text" of each passage. */
const shown = async (...args: Parameters<typeof read>): Promise<string[]> =>
  (await read(...args)).map(({ title, text }) => `${title}: ${text}`);

describe("MDX", () => {
  it("loses imports, exports, comments and tags, and keeps words, titles of components and code", async () => {
    const source = `---
title: Ferries
---
import { Tabs } from "./tabs";
import Card from '@site/card'
export const meta = {
  a: "b",
};

# Ferries

{/* not for readers */}
<Card title="Tickets" onClick={() => go("a > b")}>
  They cost <b>two</b> coins.
</Card>

<Tabs items={["a", \`b>c\`]}>
      Deep text, no code.
</Tabs>

Write \`<Card>\` for 1 < 2.

\`\`\`jsx
import { Tabs } from "./tabs";
<Card title="x" />
\`\`\`
`;
    const [passage] = await read(source, "a.mdx");
    expect(passage.title).toBe("Ferries");
    expect(passage.text.replace(/\s+/g, " ")).toBe(
      'Tickets They cost two coins. Deep text, no code. Write `<Card>` for 1 < 2. ```jsx import { Tabs } from "./tabs"; <Card title="x" /> ```',
    );
  });
});

it.each([
  ["a rule over the text", '---\n\n<Card title="Tickets" />\n\n---\n\nText.', "a: ---\n\nTickets\n\n---\n\nText."],
  ["TOML", '+++\ntitle = "The <b> of HTML"\n+++\n\n<b>Text</b>.', "The <b> of HTML: Text."],
  ["YAML that dots end", "---\ntitle: The <b> of HTML\n...\n\n<b>Text</b>.", "The <b> of HTML: Text."],
])("MDX has the front matter of Markdown: %s", async (_name, source, passage) => {
  expect(await shown(source, "a.mdx")).toEqual([passage]);
});

describe("reStructuredText", () => {
  it("is cut at its headings, whatever adorns them", async () => {
    const source = `=====
Guide
=====

Before.

Ferries
=======

They sail.

At night
--------

They rest.

Trains
======

They run.
`;
    expect(await shown(source, "guide.rst")).toEqual([
      "Guide: Before.",
      "Guide › Ferries: They sail.",
      "Guide › Ferries › At night: They rest.",
      "Guide › Trains: They run.",
    ]);
  });

  it.each([
    ["a note", ".. note:: Mind the gap.\n   :class: x\n\n   Twice.", "Mind the gap.\n\nTwice."],
    ["code", ".. code-block:: python\n   :linenos:\n\n   if a:\n       b()", "```python\nif a:\n    b()\n```"],
    ["a literal block", "Run this::\n\n    $ a\n      b\n\nDone.", "Run this:\n\n```\n$ a\n  b\n```\n\nDone."],
    ["a literal block of its own", "Run.\n\n::\n\n  a ``b``\n", "Run.\n\n```\na ``b``\n```"],
    ["a function", ".. py:function:: sail(ship)\n\n   Sails.", "sail(ship)\n\nSails."],
    ["a picture and its caption", ".. figure:: a.png\n   :alt: x\n\n   The caption.", "The caption."],
    ["a list of pages", ".. toctree::\n   :maxdepth: 2\n\n   one\n   two\n\nText.", "Text."],
    ["comments and targets", ".. a comment\n   goes on\n\n.. _here:\n\n.. |x| image:: y.png\n\nText.", "Text."],
    ["roles", "See :ref:`the guide <guide>` and :py:class:`~a.B`.", "See the guide and a.B."],
    [
      "links",
      "See `the site <https://example.org>`_ and `that one`_.",
      "See the site (https://example.org) and that one.",
    ],
    ["references", "See that_, a.b-c__ and __init__ (x_y).", "See that, a.b-c and __init__ (x_y)."],
    ["literals", "Call ``a_b`_ __c__``, *now*.", "Call `a_b`_ __c__`, *now*."],
  ])("keeps what is text of %s", async (_name, source, text) => {
    expect((await read(source, "a.rst"))[0].text).toBe(text.trim());
  });
});

it("AsciiDoc is read with its attributes, tables, notes and code, and includes nothing", async () => {
  const source = `= The guide
:sea: North Sea

The {sea} is cold.

include::secret.txt[]

== Ferries

NOTE: Mind the gap.

|===
|Name |Price

|Ann |2
|===

[source,js]
----
sail();
----
`;
  expect(await shown(source, "guide.adoc")).toEqual([
    "The guide: The North Sea is cold.",
    expect.stringMatching(/^The guide › Ferries: [^]*Mind the gap\.[^]*Name \| Price[^]*Ann \| 2[^]*sail\(\);/),
  ]);
  expect((await shown(source, "guide.adoc")).join()).not.toContain("secret");
});

it("AsciiDoc keeps lines that show or resemble an include, in code too", async () => {
  const source = "----\ninclude::secret.rb[]\n\\include::shown.rb[]\ninclude::Module\nsail\n----\n";
  expect(await shown(source, "a.adoc")).toEqual(["a: include::shown.rb[]\ninclude::Module\nsail"]);
});

describe("a notebook", () => {
  const cell = (type: string, source: unknown, outputs: unknown[] = []): object => ({
    ...{ cell_type: type, metadata: {}, source, outputs },
  });

  it("keeps its Markdown, its code and what that prints, but no pictures and errors", async () => {
    const cells = [
      cell("markdown", ["# Ferries\n", "\n", "They sail."]),
      cell("code", "print(1)", [
        { output_type: "stream", text: ["one\n", "two\n"] },
        { output_type: "display_data", data: { "image/png": "AAAA", "text/plain": ["<Figure size 1x1>"] } },
        { output_type: "error", traceback: ["bang"] },
      ]),
      cell("markdown", "## Prices\n\nTwo coins."),
    ];
    const notebook = JSON.stringify({ metadata: { language_info: { name: "python" } }, cells });
    expect(await shown(notebook, "a.ipynb")).toEqual([
      "Ferries: They sail.\n\n```python\nprint(1)\n```\n\n```\none\ntwo\n```",
      "Ferries › Prices: Two coins.",
    ]);
  });

  it("has headings whatever its line breaks are", async () => {
    const shownWith = (end: string): Promise<string[]> =>
      shown(JSON.stringify({ cells: [cell("markdown", ["# Ferries", "They sail.", ""].join(end))] }), "a.ipynb");
    expect(await shownWith("\n")).toEqual(["Ferries: They sail."]);
    expect([await shownWith("\r\n"), await shownWith("\r")]).toEqual([await shownWith("\n"), await shownWith("\n")]);
  });

  it("of an older format is read", async () => {
    const cells = [
      { cell_type: "heading", level: 1, source: "Old" },
      { cell_type: "code", input: ["a = 1"] },
    ];
    expect(await shown(JSON.stringify({ worksheets: [{ cells }] }), "a.ipynb")).toEqual(["Old: ```\na = 1\n```"]);
  });
});

describe("a table", () => {
  it.each([
    ["commas", "a.csv", 'name,"the price"\nAnn,2\n"B, ""b""","3\n4"\n,\nCy\n'],
    ["semicolons", "a.csv", 'name;the price\nAnn;2\n"B, ""b""";3 4\n;\nCy;\n'],
    ["tabs", "a.tsv", 'name\tthe price\nAnn\t2\nB, "b"\t3 4\n\t\nCy\t\n'],
  ])("with %s says of every value what it is", async (_name, path, source) => {
    const text = 'name: Ann\nthe price: 2\n\nname: B, "b"\nthe price: 3 4\n\nname: Cy';
    expect(await shown(source, path)).toEqual([`a: ${text}`]);
  });

  it("without names has numbered columns, and one of names alone has these", async () => {
    expect(await shown("1,2.5\n3,\n", "a.csv")).toEqual(["a: column 1: 1\ncolumn 2: 2.5\n\ncolumn 1: 3"]);
    expect(await shown("id,name\n", "a.csv")).toEqual(["a: id, name"]);
  });

  it("is cut between rows; a part of a long row is below its first cell", async () => {
    const rows = Array.from({ length: 20 }, (_, row) => `Ship ${row},Port ${row}`);
    const passages = await read(`ship,port\n${rows.join("\n")}\n`, "a.csv", 20);
    expect(passages.every(({ text }) => text.startsWith("ship: ") && /port: Port \d+$/.test(text))).toBe(true);
    const long = await read(`ship,story\nAda,"${"It sails far. ".repeat(30)}"\n`, "a.csv", 20);
    expect(long.length).toBeGreaterThan(3);
    expect(new Set(long.map(({ title }) => title))).toEqual(new Set(["a › ship: Ada"]));
  });

  it("as wide as it wants is read, but not one whose text would be many times its size", async () => {
    const wide = (cells: (at: number) => string): string =>
      Array.from({ length: 20_000 }, (_, at) => cells(at)).join(",");
    expect((await read(`${wide((at) => `c${at}`)}\n${wide(String)}\n`, "a.csv")).length).toBeGreaterThan(300);
    const bare = `${wide((at) => `a name of column ${at} that is long indeed`)}\n${`${wide(() => "1")}\n`.repeat(170)}`;
    await expect(read(bare, "a.csv")).rejects.toThrow("it is longer than 128 million characters: leave out columns");
  });
});

it("a document of Word is read with its title, headings, lists and tables", async () => {
  const cell = (text: string): string => `<w:tc>${paragraph(text)}</w:tc>`;
  const body = [
    paragraph("The guide", "Title"),
    paragraph("Ferries", "heading 1"),
    paragraph("They sail &amp; rest."),
    `<w:tbl><w:tr>${cell("Ann")}${cell("2")}</w:tr></w:tbl>`,
    paragraph("At night", "heading 2"),
    paragraph("They rest."),
  ].join("");
  expect(await shown(makeDocx(body), "guide.docx")).toEqual([
    "The guide › Ferries: They sail & rest.\n\nAnn | 2",
    "The guide › Ferries › At night: They rest.",
  ]);
});

it.each([
  ["a.ipynb", "{", "it is no notebook: it is not JSON"],
  ["a.ipynb", '{"cells":1}', 'it is no notebook: its JSON has no list "cells"'],
  ["a.ipynb", '{"cells":[null,{"cell_type":"code"}]}', "it holds no text"],
  ["a.csv", 'a,b\n1,"2\n3,4\n', "one of its quotations does not end"],
  ["a.csv", ",\n,\n", "it holds no text"],
  ["a.docx", "PK\x03\x04 no", "it cannot be read as a .docx"],
  ["a.docx", Buffer.from("d0cf11e0a1b11ae1", "hex"), "a .doc of Word before 2007"],
  ["a.docx", makeDocx(""), "it holds no text"],
  ["a.rst", ".. only a comment", "it holds no text"],
  ["a.adoc", "include::other.adoc[]", "it holds no text"],
  ["a.mdx", "import a from 'b'\n\n<A/>", "it holds no text"],
  ["a.mdx", Buffer.from([1, 0, 2, 0]), "zero bytes"],
])("%s of %j is left out with its own sentence", async (path, content, why) => {
  await expect(read(content, path)).rejects.toThrow(why);
});
