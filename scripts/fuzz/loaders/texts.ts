/** @file Data of users: questions, corpora, transcripts, documents. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { loadQuestions } from "../../../src/data/questions.js";
import { loadCorpus } from "../../../src/search/documents/corpus.js";
import { makeDocx, paragraph } from "../../../src/search/documents/docx.test-support.js";
import { makePdf } from "../../../src/search/documents/pdf.test-support.js";
import { documentKind, readDocument } from "../../../src/search/documents/read.js";
import { parseConfig } from "../../../src/train/config/config.js";
import { loadTranscripts } from "../../../src/train/sft/transcripts.js";
import { UserError } from "../../../src/errors.js";
import type { Loader } from "../loader.js";
import { compatibility, copy, textOf } from "./given.js";

const transcript = {
  id: "1",
  question: "What is the capital of Peru?",
  answers: ["Lima"],
  turns: [
    { role: "policy", text: "<think> look it up </think>\n<search> capital Peru</search>" },
    { role: "environment", passages: [{ title: "Peru", text: "Lima is the capital." }] },
    { role: "policy", text: "<answer> Lima </answer>" },
  ],
};

/** Reads a document as `sleuth index` does; errors of its reader name the file there. */
async function document(file: string): Promise<void> {
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new UserError(`${file}: ${cause.message}`);
  });
  await readDocument(new Uint8Array(bytes), documentKind(file)!, path.basename(file), { words: 50, overlap: 10 });
}

const html = `<!doctype html><html><head><meta charset="utf-8"><title>Peru</title><style>p{}</style></head><body><nav>menu</nav>
<article><h1>Peru</h1>${"<p>Lima is the <b>capital</b> of Peru &amp; its largest city.</p>".repeat(5)}
<table><tr><th>a<td>1</table><ul><li>one<li>two</ul><pre>code &lt;x&gt;</pre><script>x</script></article></body></html>`;
const markdown = `---\ntitle: Peru\n---\n# Peru\n\nLima is the *capital*.\n\n- one\n  - two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n\`\`\`\ncode\n\`\`\`\n> quote [link](x "t") <b>html</b>\n`;

const notebook = {
  nbformat: 4,
  metadata: { title: "Peru", language_info: { name: "python" } },
  cells: [
    { cell_type: "markdown", source: ["# Peru\n", "Lima is the *capital*."] },
    {
      cell_type: "code",
      source: "print(1)",
      outputs: [{ output_type: "stream", text: ["1\n"] }, { data: { "text/plain": "2" } }],
    },
  ],
};

/** Documents of one file each: its name and contents. */
const documents: Readonly<Record<string, string | Uint8Array>> = {
  "html.html": html,
  "markdown.md": markdown,
  "pdf.pdf": makePdf({ pages: [["Lima is the capital of Peru."]] }),
  "mdx.mdx": `---\ntitle: Peru\n---\nimport A from "./a";\nexport const b = { c: 1 };\n\n# Peru\n\n<A title="x" on={() => a > b}>\n  Lima is the *capital*. {/* no */}\n</A>\n\n\`\`\`js\n<A/>\n\`\`\`\n`,
  "rst.rst":
    "====\nPeru\n====\n\nLima is the :ref:`capital <c>` of ``Peru``::\n\n    code\n\nSub\n---\n\n.. note:: x\n   :class: y\n\n   `a <b>`_ |c|\n\n.. code-block:: js\n\n   a\n\n.. _t:\n.. image:: z\n",
  "asciidoc.adoc":
    "= Peru\n:a: b\n\nLima is the *capital* {a}.\n\n== Sub\n\nNOTE: x\n\n|===\n|a |b\n|1 |2\n|===\n\n[source,js]\n----\na\n----\n* one\n** two\n\nterm:: c<<d>> link:e[f]\n",
  "notebook.ipynb": JSON.stringify(notebook),
  "csv.csv": 'city,people,"a, b"\nLima,10,"x ""y"""\nCusco,1,\n'.repeat(3),
  "tsv.tsv": "city\tpeople\nLima\t10\nCusco\t1\n".repeat(3),
  "docx.docx": makeDocx(
    `${paragraph("Peru", "Title")}${paragraph("Cities", "heading 1")}${paragraph("Lima &amp; Cusco")}<w:tbl><w:tr><w:tc>${paragraph("1")}</w:tc></w:tr></w:tbl>`,
  ),
};

const documentLoaders = Object.entries(documents).map(([name, content]): Loader => ({
  name: name.replace(/\..*/, ""),
  make: (folder) => writeFile(path.join(folder, name), content),
  load: (folder) => document(path.join(folder, name)),
  isNameless: true,
}));

export const textLoaders: readonly Loader[] = [
  {
    name: "questions",
    make: (folder) => copy(compatibility, folder, ["questions.jsonl"]),
    load: (folder) => loadQuestions(path.join(folder, "questions.jsonl")),
  },
  {
    name: "questions-gzip",
    make: async (folder) =>
      writeFile(path.join(folder, "questions.jsonl.gz"), gzipSync(await textOf(compatibility, "questions.jsonl"))),
    load: (folder) => loadQuestions(path.join(folder, "questions.jsonl.gz")),
  },
  {
    name: "corpus",
    make: (folder) => copy(compatibility, folder, ["corpus.jsonl"]),
    load: (folder) => loadCorpus([path.join(folder, "corpus.jsonl")]),
  },
  {
    name: "transcripts",
    make: async (folder) => {
      const recorded = await textOf(compatibility, "trace.jsonl");
      await writeFile(path.join(folder, "transcripts.jsonl"), `${JSON.stringify(transcript)}\n${recorded}`);
    },
    load: (folder) => {
      const config = parseConfig({
        sft: { transcripts: path.join(folder, "transcripts.jsonl") },
        rollout: { protocol: "search-r1" },
      });
      return loadTranscripts(config);
    },
  },
  ...documentLoaders,
];
