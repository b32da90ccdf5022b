/**
 * @file The documents that reading is measured on: manuals of invented words, as HTML pages with navigation around them, Markdown files and
 * PDFs. Everything is seeded. They stay in `.cache/bench`.
 */
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Random } from "../../src/random.js";
import { makePdf } from "../../src/search/documents/pdf.test-support.js";
import { wordOf } from "../search/corpus.js";

/** Folders of another version are made anew. */
const version = 1;
const seed = 20260102;
const vocabularySize = 50_000;
const pagesPerPdf = 10;
const linesPerPage = 40;

export type Kind = "html" | "pdf" | "md";

/** How many files there are of each kind. */
const files: Readonly<Record<Kind, number>> = { html: 400, pdf: 100, md: 1_000 };
export const kinds = Object.keys(files) as readonly Kind[];

/** The folder that holds a folder for each kind: what lies in `.cache/bench`, else made now. */
export async function makeDocuments(share: number, note: (text: string) => void): Promise<string> {
  const folder = path.join(".cache", "bench", `documents-v${version}-${share}`);
  const done = path.join(folder, "done");
  if (existsSync(done)) return folder;
  note(`making documents in ${folder}`);
  await rm(folder, { recursive: true, force: true });
  const random = new Random(seed);
  for (const kind of kinds) {
    await mkdir(path.join(folder, kind), { recursive: true });
    const count = Math.ceil(files[kind] * share);
    for (let number = 0; number < count; number++)
      await writeFile(path.join(folder, kind, `${number}.${kind}`), writers[kind](new Prose(random), number, count));
  }
  // Written last: without it the folder is not whole.
  await writeFile(done, "");
  return folder;
}

/** Invented words, frequent ones as frequent as Zipf's law says. */
class Prose {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  between(least: number, most: number): number {
    return least + this.#random.integer(most - least + 1);
  }

  words(least: number, most: number): string {
    const word = (): string => wordOf(Math.floor(vocabularySize ** this.#random.next()) - 1);
    return Array.from({ length: this.between(least, most) }, word).join(" ");
  }

  heading(): string {
    return capital(this.words(2, 5));
  }

  sentence(): string {
    return `${capital(this.words(6, 20))}.`;
  }

  paragraph(): string {
    return this.many(2, 6, () => this.sentence()).join(" ");
  }

  many<Part>(least: number, most: number, make: () => Part): Part[] {
    return Array.from({ length: this.between(least, most) }, make);
  }
}

function capital(words: string): string {
  return words[0].toUpperCase() + words.slice(1);
}

const writers: Readonly<Record<Kind, (prose: Prose, number: number, count: number) => string | Uint8Array>> = {
  html: htmlPage,
  pdf: pdfManual,
  md: markdownFile,
};

function htmlPage(prose: Prose, number: number, count: number): string {
  const title = prose.heading();
  const link = (to: number): string => `<li><a href="${to}.html">Chapter ${to}</a></li>`;
  const sections = prose.many(4, 10, () => {
    const items = prose.many(3, 6, () => `<li><p>${prose.sentence()}</p></li>`).join("\n");
    const rows = prose.many(3, 8, () => `<tr><td>${prose.words(1, 2)}</td><td>${prose.words(3, 9)}</td></tr>`);
    const code = prose.many(2, 6, () => prose.words(2, 6).replaceAll(" ", "_")).join("\n");
    return `<section id="${prose.words(1, 1)}"><h2>${prose.heading()}<a class="headerlink" href="#">¶</a></h2>
${prose.many(3, 6, () => `<p>${prose.paragraph()} See <a href="${prose.between(0, count)}.html"><em>${prose.words(1, 3)}</em></a> &amp; <code>${prose.words(1, 1)}</code>.</p>`).join("\n")}
<ul>${items}</ul><table>${rows.join("\n")}</table><pre>${code}</pre>
<dl><dt>${prose.words(1, 2)}</dt><dd>${prose.sentence()}</dd></dl></section>`;
  });
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title} - Manual</title><script>var chapter = ${number};</script></head>
<body><nav class="sidebar"><ul>${Array.from({ length: 40 }, (_, to) => link(to)).join("\n")}</ul></nav>
<main><h1>${title}</h1>${sections.join("\n")}</main>
<div class="footer">Chapter ${number} of the manual. Copyright of its authors.</div></body></html>`;
}

function markdownFile(prose: Prose): string {
  const sections = prose.many(4, 10, () => {
    const rows = prose.many(3, 8, () => `| ${prose.words(1, 2)} | ${prose.words(3, 9)} |`);
    return `## ${prose.heading()}

${prose.many(2, 5, () => `${prose.paragraph()} See [${prose.words(1, 3)}](https://example.org/${prose.words(1, 1)}) and \`${prose.words(1, 1)}\`.`).join("\n\n")}

${prose.many(3, 6, () => `- ${prose.sentence()}`).join("\n")}

| name | meaning |
| ---- | ------- |
${rows.join("\n")}

\`\`\`js
${prose.many(2, 6, () => `const ${prose.words(1, 1)} = ${prose.between(1, 99)};`).join("\n")}
\`\`\``;
  });
  return `# ${prose.heading()}\n\n${prose.paragraph()}\n\n${sections.join("\n\n")}\n`;
}

function pdfManual(prose: Prose, number: number): Uint8Array {
  const title = prose.heading();
  const page = (_: unknown, place: number): string[] => [
    `${title} ${place + 1}`,
    ...Array.from({ length: linesPerPage }, (_, line) => prose.words(10, 14) + (line % 4 === 3 ? "." : "")),
    `Manual ${number}`,
  ];
  return makePdf({ title, pages: Array.from({ length: pagesPerPdf }, page) });
}
