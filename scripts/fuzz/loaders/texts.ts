/** @file Data of users: questions, corpora, transcripts, documents. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { loadQuestions } from "../../../src/data/questions.js";
import { loadCorpus } from "../../../src/search/documents/corpus.js";
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
  {
    name: "html",
    make: (folder) => writeFile(path.join(folder, "page.html"), html),
    load: (folder) => document(path.join(folder, "page.html")),
    isNameless: true,
  },
  {
    name: "markdown",
    make: (folder) => writeFile(path.join(folder, "page.md"), markdown),
    load: (folder) => document(path.join(folder, "page.md")),
    isNameless: true,
  },
  {
    name: "pdf",
    make: (folder) => writeFile(path.join(folder, "page.pdf"), makePdf({ pages: [["Lima is the capital of Peru."]] })),
    load: (folder) => document(path.join(folder, "page.pdf")),
    isNameless: true,
  },
];
